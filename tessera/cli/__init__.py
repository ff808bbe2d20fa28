"""The subcommands of `tessera`, one file a group. Heavy imports happen inside the functions:
`--help` stays quick."""
