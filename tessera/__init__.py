"""Tessera: synthetic data whose every row can be recomputed."""
