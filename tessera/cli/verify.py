"""`tessera verify`: the auditor's program."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Annotated

import typer

from tessera.cli.options import (
    DatasetOption,
    DeliveryKeyFile,
    DeploymentFile,
    JsonOption,
    RpcUrl,
    StoreOption,
    examples,
)
from tessera.terminal import err, out, progress_bar, say_error, say_json

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.verify.certificate import Certificate

UNDECIDED = 2
VERIFY_EXAMPLES = examples(
    "verify --dataset 1 --rpc http://127.0.0.1:8545 --store run/up/content --key delivery.key",
    "verify --dataset eip155:1/erc721:0x.../7 --rpc URL --store /ip4/127.0.0.1/tcp/5001 --json",
)


def add_to(app: typer.Typer) -> None:
    app.command("verify", rich_help_panel="Checking", epilog=VERIFY_EXAMPLES)(verify)


def verify(
    dataset: DatasetOption,
    rpc: RpcUrl,
    store: StoreOption,
    key: DeliveryKeyFile = None,
    deployment: DeploymentFile = None,
    public: Annotated[
        bool,
        typer.Option("--public", help="of a private order check the public part only: no row is looked at"),
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="threads that recompute rows")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Check a data set from chain and files alone; no backend is needed and none is trusted.

    Exit status: 0 every check passed that could be made, 1 a check failed, 2 nothing was decided (node or
    store down, unknown data set, wrong arguments or key, or rows that could not be looked at without
    --public). What no certificate proves is printed with it.
    """
    from provenance.errors import ProvenanceError
    from tessera.errors import TesseraError
    from tessera.verification import verify as verify_published

    try:
        with progress_bar() as bar:
            certificate = verify_published(
                dataset,
                rpc=rpc,
                store=store,
                key=key,
                deployment=deployment,
                threads=threads,
                progress=lambda done, rows: bar("recomputing rows", done / rows, f"{done:,} of {rows:,}"),
            )
    except (ProvenanceError, TesseraError) as error:
        # Nothing was learnt about the data: the question could not be asked.
        say_error(error)
        raise typer.Exit(UNDECIDED) from error
    except Exception as error:
        # The process edge: 1 means "a check failed", and a bug decides nothing.
        err.print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)
        raise typer.Exit(UNDECIDED) from error
    if as_json:
        say_json(certificate.document())
    else:
        print_certificate(certificate, out)
    if certificate.exit_code == 0 and not public and _rows_unseen(certificate):
        say_error(TesseraError(_why_unseen(certificate, with_key=key is not None)))
        raise typer.Exit(UNDECIDED)
    raise typer.Exit(certificate.exit_code)


def _why_unseen(certificate: Certificate, *, with_key: bool) -> str:
    if with_key:
        return f"not every row was looked at: {certificate.check('rows').detail}"
    return (
        "no row was looked at, so this certificate says nothing about the rows: name the delivery key of the order "
        "with --key, or say --public to check the public part only"
    )


def _rows_unseen(certificate: Certificate) -> bool:
    return any(check.name == "rows" for check in certificate.unchecked)


def print_certificate(certificate: Certificate, console: Console) -> None:
    """Every check with its label, then the verdict and the claims that nothing proves."""
    from rich.markup import escape
    from rich.table import Table

    from provenance.verify.certificate import Label, Status

    signs = {
        Status.PASSED: "[green]passed[/]",
        Status.FAILED: "[bold red]FAILED[/]",
        Status.NOT_CHECKED: "[yellow]-[/]",
    }
    console.print(
        f"[bold]Certificate[/] of {escape(certificate.dataset)} at block {certificate.block}", soft_wrap=True
    )
    console.print(f"order {certificate.order}", soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    for name in ("check", "label", "result"):
        table.add_column(name, no_wrap=True)
    table.add_column("detail", overflow="fold")
    for check in certificate.checks:
        if check.label is not Label.NOT_PROVEN:
            sign = signs[check.status]
            table.add_row(str(check.number), check.name, check.label.value, sign, escape(check.detail))
    console.print(table)
    if certificate.failed:
        names = ", ".join(check.name for check in certificate.failed)
        console.print(f"[bold red]FAILED[/]: {escape(names)}", soft_wrap=True)
    else:
        done = sum(check.status is Status.PASSED for check in certificate.checks)
        console.print(f"[bold green]passed[/]: {done} checks")
    for remark in certificate.remarks:
        console.print(f"[bold yellow]less than was ordered[/]: {escape(remark)}", soft_wrap=True)
    if certificate.seed is not None:
        console.print(
            f"[bold]Seed[/]: {certificate.seed.made_of}. {certificate.seed.sentence}", soft_wrap=True
        )
    if certificate.key_problem:
        console.print(f"[bold yellow]wrong key[/]: {escape(certificate.key_problem)}", soft_wrap=True)
    if certificate.unchecked:
        names = ", ".join(check.name for check in certificate.unchecked)
        console.print(f"[yellow]not checked[/]: {escape(names)}", soft_wrap=True)
    console.print("[bold]Not proven[/] by this or any certificate:")
    for check in certificate.not_proven:
        console.print(f"  {check.number}. {check.name}: {escape(check.detail)}", soft_wrap=True)
