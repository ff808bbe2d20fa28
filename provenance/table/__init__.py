"""Columns, cells and rows: schemas, codecs, conditions, CSV."""
