"""The contributor's node: an own process beside a private table, with own rules, an own ledger and an own key.

It trusts nobody: participants, order state and seed come from the chain; documents count only if their digest
stands in terms that the escrow holds; what it signs it has recomputed.  It only calls out, and listens on
loopback at most.
"""
