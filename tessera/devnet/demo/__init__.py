"""The market that `tessera demo` and `tessera up` show: the bundled Adult table in three
private, unequal parts."""
