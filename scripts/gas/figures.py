"""Gas figures, their limits, and the page they stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scripts.errors import ScriptError

TRANSACTION_CAP = 16_777_216
CODE_LIMIT = 24_576
OCEAN_PUBLISH, EAS_ATTESTATION = 1_160_000, 300_000


class GasLimitError(ScriptError):
    """A transaction or contract is beyond what the chain takes, or beyond what the product promises."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Gas of one transaction; `limit` is what the product promises, if it promises anything."""

    step: str
    case: str
    gas: int
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """A deployed contract: bytes of code, and what its deployment cost."""

    name: str
    size: int
    gas: int


def check(figures: Sequence[Figure], contracts: Sequence[Contract]) -> None:
    """Raises GasLimitError with everything that is beyond a limit."""
    problems = []
    for each in [*figures, *(Figure("deployment", one.name, one.gas) for one in contracts)]:
        where = f"{each.step} ({each.case}): {each.gas:,} gas"
        if each.gas > TRANSACTION_CAP:
            problems.append(f"{where}, the chain takes at most {TRANSACTION_CAP:,}")
        elif each.limit is not None and each.gas > each.limit:
            problems.append(f"{where}, promised are at most {each.limit:,}")
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
        "Made by `python -m scripts.benchmark_gas --write`: every figure is the receipt of a transaction on a chain of",
        "its own, calldata and first touches of storage included.",
        "",
        *(f"- {name}: {value}" for name, value in setting.items()),
        f"- cap of a transaction {TRANSACTION_CAP:,} gas, of a contract {CODE_LIMIT:,} bytes (EIP-7825, EIP-170)",
        "",
        "## Steps",
        *_steps(figures),
        "",
        "## Beside others",
        *_others(figures),
        "",
        "## Contracts",
        "| contract | bytes of code | of the limit | deployment |",
        "|---|--:|--:|--:|",
        *(
            f"| {one.name} | {one.size:,} | {100 * one.size / CODE_LIMIT:.0f} % | {one.gas:,} |"
            for one in contracts
        ),
        "",
    ]
    return "\n".join(lines)


def _steps(figures: Sequence[Figure]) -> list[str]:
    cases = list(dict.fromkeys(each.case for each in figures))
    lines = [f"| step | {' | '.join(cases)} | promised |", f"|---|{'--:|' * (len(cases) + 1)}"]
    for step in dict.fromkeys(each.step for each in figures):
        found = {each.case: each for each in figures if each.step == step}
        cells = [f"{found[case].gas:,}" if case in found else "" for case in cases]
        limit = next((each.limit for each in found.values() if each.limit is not None), None)
        lines.append(f"| {step} | {' | '.join(cells)} | {'' if limit is None else f'{limit:,}'} |")
    return lines


def _others(figures: Sequence[Figure]) -> list[str]:
    lines = [
        "| transaction | gas | of Ocean's publish | of an EAS attestation |",
        "|---|--:|--:|--:|",
        f"| Ocean, full publish of a data set | {OCEAN_PUBLISH:,} | 1.00 | {OCEAN_PUBLISH / EAS_ATTESTATION:.2f} |",
        f"| EAS, attestation with 160 bytes | {EAS_ATTESTATION:,} | {EAS_ATTESTATION / OCEAN_PUBLISH:.2f} | 1.00 |",
    ]
    for each in figures:
        if each.step == "publish":
            lines.append(
                f"| Tessera, publish, {each.case} | {each.gas:,} | {each.gas / OCEAN_PUBLISH:.2f} "
                f"| {each.gas / EAS_ATTESTATION:.2f} |"
            )
    lines += [
        "",
        "Ocean's and EAS's figures are rounded; they were measured on anvil with those projects' own contracts.",
    ]
    return lines
