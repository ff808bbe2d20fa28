"""Contributors that announced a table for a collection. The stake itself is on chain."""
