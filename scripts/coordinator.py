"""The broker's coordination worker: the same program as `tessera coordinator`."""

import sys

from tessera.cli.app import main

if __name__ == "__main__":
    main(["coordinator", *sys.argv[1:]])
