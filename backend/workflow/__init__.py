"""The durable life of an order, step by step; every step looks at the chain first."""
