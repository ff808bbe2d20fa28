"""The queue of node tasks: leases, heartbeats, results stored once."""
