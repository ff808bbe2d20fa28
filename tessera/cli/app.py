"""The `tessera` command.

Exit status: 0 done, 1 refused or failed, 2 the command line, a file that it names or the installation cannot
be used, 3 a data set is false and the chain has judged it, 4 it is false and stands, 5 keys are still awaited, 6 an
audit refutes a stated epsilon, 130 interrupted.
Expected errors are one message (what was found, what was expected, what to do); a traceback is a bug of ours.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated

import typer

from tessera.cli import (
    audit,
    coordinator,
    deploy,
    devnet,
    disputes,
    draw,
    keys,
    ledger,
    models,
    orders,
    resale,
    rewards,
    schemas,
    verify,
)
from tessera.cli.node import node_app
from tessera.cli.options import HELP_NAMES, examples
from tessera.cli.watchtower import watchtower_app
from tessera.errors import UsageError
from tessera.terminal import exit_status, say

_PREFIX = "TESSERA_"
_OWN = (
    "TESSERA_KEY",
    "TESSERA_NETWORK",
    "TESSERA_OWNER",
    "TESSERA_PASSWORD",
    "TESSERA_PASSWORD_FILE",
    "TESSERA_WALLET",
)

app = typer.Typer(
    name="tessera",
    help="A marketplace for synthetic data whose every row can be recomputed and, if false, refuted.",
    epilog=examples(
        "fit table.csv --schema schema.json --out model.tsm",
        "request --collection adult --rows 5000 --wallet wallet.key --key delivery.key --out rows.csv",
        "verify --dataset 1 --rpc URL --store DIR --key delivery.key",
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=HELP_NAMES,
)
models.add_to(app)
audit.add_to(app)
ledger.add_to(app)
app.add_typer(schemas.schema_app, name="schema", rich_help_panel="Your own data")
app.add_typer(keys.key_app, name="key", rich_help_panel="Buying")
orders.add_to(app)
disputes.add_to(app)
draw.add_to(app)
resale.add_to(app)
rewards.add_to(app)
verify.add_to(app)
app.add_typer(node_app, name="node", rich_help_panel="Running")
app.add_typer(watchtower_app, name="watchtower", rich_help_panel="Running")
coordinator.add_to(app)
deploy.add_to(app)
devnet.add_to(app)


def _unwrap_help(group: typer.Typer) -> None:
    """Help is wrapped by the terminal it is read on, so the line ends of a docstring are none of its own."""
    for command in group.registered_commands:
        assert command.callback is not None
        paragraphs = (command.help or inspect.getdoc(command.callback) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for under in group.registered_groups:
        assert under.typer_instance is not None
        _unwrap_help(under.typer_instance)


_unwrap_help(app)


def _show_version(wanted: bool) -> None:
    if wanted:
        from tessera.extras import version

        say(f"tessera {version()}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[  # noqa: ARG001 - the callback does it
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="print the version")
    ] = False,
) -> None:
    check_environment()


def check_environment(environment: Mapping[str, str] = os.environ) -> None:
    """Raises UsageError, with the nearest known name, for a TESSERA_ variable that no program of ours reads."""
    unknown = [name for name in sorted(environment) if name.startswith(_PREFIX) and name not in _OWN]
    if not unknown:
        return
    known = (*_OWN, *_backend_names(), *_node_names())
    for name in unknown:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}."
            raise UsageError(f"the environment sets {name}, which nothing reads: {advice} Unset it otherwise")


def _backend_names() -> tuple[str, ...]:
    """What the backend reads; nothing where it is not installed."""
    try:
        from backend.settings import Settings
    except ModuleNotFoundError:
        return ()
    return tuple(f"{_PREFIX}{name.upper()}" for name in Settings.model_fields)


def _node_names() -> tuple[str, ...]:
    """What a contributor's node reads; nothing where it is not installed."""
    try:
        from generator.node.settings import environment_names
    except ModuleNotFoundError:
        return ()
    return environment_names()


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of the console command; `arguments` None: those of the process."""
    raise SystemExit(exit_status(lambda: app(args=arguments, standalone_mode=True)))


if __name__ == "__main__":
    main()
