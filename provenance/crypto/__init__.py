"""Bytes and keys: signatures, typed data, sealing, Merkle trees."""
