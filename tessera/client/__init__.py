"""The buyer's side of the market: trusts the chain and its own keys, never the broker's word."""
