"""Nets, losses, local training and quantisation in torch. Knows nothing of federation or of privacy budgets.

Nothing here seeds or sets threads at import: both are the caller's.
"""
