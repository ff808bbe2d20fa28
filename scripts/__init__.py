"""Entry points: the `tessera` command and the programs beside it. The only package that may import all others."""
