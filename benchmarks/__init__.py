"""Measurements and studies; not installed."""
