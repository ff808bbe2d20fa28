"""Federated training: tasks and results, the coordinator, the contributor's state and privacy ledger."""
