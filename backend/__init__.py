"""The broker: matches orders with contributors, drives them through the chain, serves ciphertext."""
