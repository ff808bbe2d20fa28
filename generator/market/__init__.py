"""How a node and a coordinator speak with the market: signed HTTP, outbound only, one task queue."""
