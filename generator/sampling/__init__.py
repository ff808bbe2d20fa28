"""Exact rows computed by torch, on the CPU or on a GPU."""
