"""The catalogue of published data sets, read from chain events."""
