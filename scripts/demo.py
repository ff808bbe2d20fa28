"""The main job from end to end on one machine: the same program as `tessera demo`."""

import sys

from tessera.cli.app import main

if __name__ == "__main__":
    main(["demo", *sys.argv[1:]])
