"""Marginals: public bins, which tables are released, how they are counted, and what a generator is fitted to."""
