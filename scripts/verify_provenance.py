"""Verifies a data set from chain and files alone: the same program as `tessera verify`."""

from tessera.cli.verify import main

if __name__ == "__main__":
    raise SystemExit(main())
