"""Fitting a generator to one table on one machine, over the same federation code as the market."""
