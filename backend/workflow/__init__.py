"""The durable workflow of an order, step by step. Every step looks at the chain before it acts."""
