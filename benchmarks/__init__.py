"""Measurements and studies; not installed."""

import argparse


def program_parser(text: str | None, short: str | None = None) -> argparse.ArgumentParser:
    """A parser whose help is the program's own docstring, with its examples. short: what `--short` does; None where the
    program adds that option itself.
    """
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if short is not None:
        parser.add_argument("--short", action="store_true", help=short)
    return parser
