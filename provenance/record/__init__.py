"""What people sign and publish: terms, receipts, collections, manifests, contributions."""
