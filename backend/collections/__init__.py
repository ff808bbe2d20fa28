"""Collections: the schemas that can be ordered, with their price and privacy ceiling."""
