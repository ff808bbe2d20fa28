"""A certificate for people: a table, the verdict, and what is not proven."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from provenance.verify.certificate import Certificate, Label, Status

_SIGNS = {
    Status.PASSED: "[green]passed[/]",
    Status.FAILED: "[bold red]FAILED[/]",
    Status.NOT_CHECKED: "[yellow]-[/]",
}


def print_certificate(certificate: Certificate, console: Console) -> None:
    """Prints every check with its label, then verdict and the claims that nothing proves."""
    console.print(
        f"[bold]Certificate[/] of {escape(certificate.dataset)} at block {certificate.block}", soft_wrap=True
    )
    console.print(f"order {certificate.order}", soft_wrap=True)
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("check", no_wrap=True)
    table.add_column("label", no_wrap=True)
    table.add_column("result", no_wrap=True)
    table.add_column("detail", overflow="fold")
    for check in certificate.checks:
        if check.label is not Label.NOT_PROVEN:
            sign = _SIGNS[check.status]
            table.add_row(str(check.number), check.name, check.label.value, sign, escape(check.detail))
    console.print(table)
    _print_verdict(certificate, console)
    console.print("[bold]Not proven[/] by this or any certificate:")
    for check in certificate.not_proven:
        console.print(f"  {check.number}. {check.name}: {escape(check.detail)}", soft_wrap=True)


def _print_verdict(certificate: Certificate, console: Console) -> None:
    done = sum(check.status is Status.PASSED for check in certificate.checks)
    if certificate.failed:
        names = ", ".join(check.name for check in certificate.failed)
        console.print(f"[bold red]FAILED[/]: {escape(names)}", soft_wrap=True)
    else:
        console.print(f"[bold green]passed[/]: {done} checks")
    if certificate.key_problem:
        console.print(f"[bold yellow]wrong key[/]: {escape(certificate.key_problem)}", soft_wrap=True)
    if certificate.unchecked:
        names = ", ".join(check.name for check in certificate.unchecked)
        console.print(f"[yellow]not checked[/]: {escape(names)}", soft_wrap=True)
