"""`python -m tessera`: the same program as `tessera`."""

from tessera.cli.app import main

if __name__ == "__main__":
    main()
