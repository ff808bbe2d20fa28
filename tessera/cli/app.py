"""The `tessera` command.

Exit status: 0 done, 1 refused or failed, 2 the command line or a file that it names cannot be used, 3 a data set
is false and the chain has judged it, 4 it is false and stands, 130 interrupted. Expected errors are one message
(what was found, what was expected, what to do); a traceback is a bug of ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import typer

from tessera.cli import (
    audits,
    challenge,
    evaluations,
    keys,
    market,
    models,
    resale,
    rewards,
    running,
    schemas,
)
from tessera.terminal import exit_status

app = typer.Typer(
    name="tessera",
    help="A marketplace for synthetic data whose every row can be recomputed and, if false, refuted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
running.add_to(app)
keys.add_to(app)
market.add_to(app)
challenge.add_to(app)
resale.add_to(app)
rewards.add_to(app)
models.add_to(app)
schemas.add_to(app)
evaluations.add_to(app)
audits.add_to(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console command; `arguments` None: those of the process."""
    raise SystemExit(exit_status(lambda: app(args=arguments, standalone_mode=True)))


if __name__ == "__main__":
    main()
