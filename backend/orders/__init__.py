"""Quotes, orders and their events."""
