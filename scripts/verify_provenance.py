"""Verifies a data set from chain and files alone: the same program as `tessera verify`."""

import sys

from tessera.cli.app import main

if __name__ == "__main__":
    main(["verify", *sys.argv[1:]])
