"""Which chain, which contracts, which broker."""
