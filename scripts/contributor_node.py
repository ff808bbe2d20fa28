"""A contributor's node beside a private table: the same program as `tessera node`."""

from tessera.cli.node import main

if __name__ == "__main__":
    raise SystemExit(main())
