"""Gas figures, their limits, and the page they stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from provenance.chain.fees import TRANSACTION_GAS_CAP
from tessera.errors import TesseraError

CODE_LIMIT = 24_576
OCEAN_PUBLISH, EAS_ATTESTATION = 1_160_000, 300_000


class GasLimitError(TesseraError):
    """A transaction or contract is beyond what the chain takes, or beyond what the product promises."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Gas of one transaction, or of the call in it that the step names; `limit` is what the product promises, if it
    promises anything. With several `transactions` it is their sum, and only each of them has a cap."""

    step: str
    case: str
    gas: int
    limit: int | None = None
    chapter: str = "An order"
    transactions: int = 1
    argued: str = ""
    """Why a promise that is not kept stands as it is; empty for one that is kept."""

    @property
    def allowed(self) -> int | None:
        """What it may be: as promised, else what a transaction may take."""
        return TRANSACTION_GAS_CAP if self.limit is None and self.transactions == 1 else self.limit

    @property
    def holds(self) -> bool:
        return self.allowed is None or self.gas <= self.allowed


@dataclass(frozen=True, slots=True)
class Contract:
    """A deployed contract: bytes of code, and what its deployment cost."""

    name: str
    size: int
    gas: int


def check(figures: Sequence[Figure], contracts: Sequence[Contract]) -> None:
    """Raises GasLimitError with everything that is beyond a limit."""
    problems = []
    for figure in [*figures, *(Figure("deployment", one.name, one.gas) for one in contracts)]:
        case = f" ({figure.case})" if figure.case else ""
        where = f"{figure.step}{case}: {figure.gas:,} gas"
        if figure.gas > TRANSACTION_GAS_CAP and figure.transactions == 1:
            problems.append(f"{where}, the chain takes at most {TRANSACTION_GAS_CAP:,}")
        elif not figure.holds and not figure.argued:
            problems.append(f"{where}, promised are at most {figure.allowed:,}")
        elif figure.holds and figure.argued:
            problems.append(f"{where} hold; take away why they do not")
    problems += [
        f"{one.name}: {one.size:,} bytes of code, the chain takes at most {CODE_LIMIT:,}"
        for one in contracts
        if one.size > CODE_LIMIT
    ]
    if problems:
        raise GasLimitError("\n".join(["beyond the limits; find what grew and make it cheaper:", *problems]))


def page(figures: Sequence[Figure], contracts: Sequence[Contract], setting: Mapping[str, str]) -> str:
    """docs/gas.md."""
    lines = [
        "# Gas",
        "Made by `python -m benchmarks.run_gas --write`: every figure is the receipt of a transaction on a chain",
        'of its own, calldata and first touches of storage included; a line "of it ..." is a call alone, from the',
        "trace of its transaction. The limit is what is promised, else what a transaction may take. A transaction",
        "with a model in calldata costs the floor of EIP-7623, 40 gas a byte (10 a zero byte), where that is more",
        "than all it does. Generators are fitted anew each time, and privacy noise changes the size of the demo's.",
        "",
        *(f"- {name}: {value}" for name, value in setting.items()),
        f"- cap of a transaction {TRANSACTION_GAS_CAP:,} gas, of a contract {CODE_LIMIT:,} bytes (EIP-7825, EIP-170)",
        "",
        *(
            line
            for chapter in dict.fromkeys(figure.chapter for figure in figures)
            for line in _table(chapter, figures)
        ),
        "## Beside others",
        *_others(figures),
        "",
        "## Contracts",
        "| contract | bytes of code | limit | holds | deployment |",
        "|---|--:|--:|---|--:|",
        *(
            f"| {one.name} | {one.size:,} | {CODE_LIMIT:,} | {_word(one.size <= CODE_LIMIT)} | {one.gas:,} |"
            for one in contracts
        ),
        "",
    ]
    return "\n".join(lines)


def _table(chapter: str, figures: Sequence[Figure]) -> list[str]:
    lines = [f"## {chapter}", "| step | case | gas | limit | holds |", "|---|---|--:|--:|---|"]
    for figure in figures:
        if figure.chapter == chapter:
            limit, word = ("", "") if figure.allowed is None else (f"{figure.allowed:,}", _word(figure.holds))
            lines.append(f"| {figure.step} | {figure.case} | {figure.gas:,} | {limit} | {word} |")
    argued = [
        f"{figure.step}, {figure.case}: {figure.argued}"
        for figure in figures
        if figure.chapter == chapter and figure.argued
    ]
    return [*lines, "", *(line for one in argued for line in (one, ""))]


def _word(holds: bool) -> str:
    return "yes" if holds else "**no**"


def _others(figures: Sequence[Figure]) -> list[str]:
    lines = [
        "| transaction | gas | of Ocean's publish | of an EAS attestation |",
        "|---|--:|--:|--:|",
        f"| Ocean, full publish of a data set | {OCEAN_PUBLISH:,} | 1.00 | {OCEAN_PUBLISH / EAS_ATTESTATION:.2f} |",
        f"| EAS, attestation with 160 bytes | {EAS_ATTESTATION:,} | {EAS_ATTESTATION / OCEAN_PUBLISH:.2f} | 1.00 |",
    ]
    for figure in figures:
        if figure.step == "publish":
            lines.append(
                f"| Tessera, publish, {figure.case} | {figure.gas:,} | {figure.gas / OCEAN_PUBLISH:.2f} "
                f"| {figure.gas / EAS_ATTESTATION:.2f} |"
            )
    lines += [
        "",
        "Ocean's and EAS's figures are rounded; they were measured on anvil with those projects' own contracts.",
    ]
    return lines
