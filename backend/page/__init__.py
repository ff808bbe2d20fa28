"""The server-rendered catalogue page."""
