"""The broker's coordination worker: the same program as `tessera coordinator`."""

from tessera.cli.coordinator import main

if __name__ == "__main__":
    raise SystemExit(main())
