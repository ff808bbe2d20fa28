"""Thin programs and the checks of this repository; not installed."""

"""Thin programs and the checks of this repository; not installed."""
