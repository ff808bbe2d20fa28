"""Evaluation: the judge of quality, the contribution score, and the private score on a node's hold-out."""
