"""A contributor's node beside a private table: the same program as `tessera node`."""

import sys

from tessera.cli.app import main

if __name__ == "__main__":
    main(["node", *sys.argv[1:]])
