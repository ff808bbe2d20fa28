"""The long comparison: ours, each part removed, and the peers, on three real tables."""
