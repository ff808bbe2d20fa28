"""A whole Tessera network on one machine: child processes, their keys, their logs, and their clean end."""
