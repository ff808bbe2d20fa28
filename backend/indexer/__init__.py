"""The chain follower: fetch, store raw, apply; and roll back when the chain did."""
