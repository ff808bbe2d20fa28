"""What `make audit`, `make coverage` and the gas check of `make check` run: tools around the contracts."""
