"""What the demo shows and checks: `tessera verify` as a process of its own over true and forged files, where the money
is, and how good the rows are.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from generator.evaluation.judge import JudgeReport, judge
from provenance.chain.reader import ChainReader
from provenance.record.manifest import Manifest
from provenance.table.codec import encode_table
from provenance.table.schema import Schema
from provenance.units import MICRO, TokenUnit, grouped, to_float
from provenance.values import Address, Cid
from tessera.devnet.adult import read_lines
from tessera.devnet.network import python_path
from tessera.errors import TesseraError

AUDIT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Audit:
    """How the program ended and what it said; `checks` is its --json form."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Auditor:
    """Everything on the command line but the store."""

    dataset: str
    rpc_url: str
    key: Path

    def command(self, store: Path, *options: str) -> list[str]:
        where = (
            "--dataset",
            self.dataset,
            "--rpc",
            self.rpc_url,
            "--store",
            str(store),
            "--key",
            str(self.key),
        )
        return [sys.executable, "-m", "tessera", "verify", *where, *options]

    def run(self, store: Path, *options: str) -> Audit:
        """Run to the end; its standard output is the certificate."""
        done = subprocess.run(
            self.command(store, *options),
            capture_output=True,
            text=True,
            timeout=AUDIT_SECONDS,
            env=python_path(),
        )
        return Audit(done.returncode, done.stdout + done.stderr)

    def failed_checks(self, store: Path) -> list[str]:
        """Names of the failed checks over `store`, read from --json; the program must have ended with 1."""
        audit = self.run(store, "--json")
        if audit.status != 1:
            raise TesseraError(
                f"the verifier ended with {audit.status} over forged bytes, expected 1:\n{audit.text}"
            )
        checks = json.loads(audit.text)["checks"]
        return [
            f"{check['number']} {check['name']}: {check['detail']}"
            for check in checks
            if check["status"] == "failed"
        ]


def forge(store: Path, copy: Path, cid: Cid, offset: int) -> tuple[int, int]:
    """Copy `store` and flip the lowest bit of one byte of `cid` in the copy; returns the byte
    before and after."""
    shutil.copytree(store, copy)
    (file,) = copy.rglob(str(cid))
    data = bytearray(file.read_bytes())
    before = data[offset]
    data[offset] ^= 1
    file.chmod(0o644)
    file.write_bytes(bytes(data))
    return before, data[offset]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Token wei of every holder at one moment, and what the rewards contract owes to each."""

    balances: dict[str, int]
    claimable: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.balances.values())


@dataclass(frozen=True, slots=True)
class Holders:
    """Everybody who holds tokens: people and the contracts that hold for them."""

    reader: ChainReader
    people: dict[str, Address]

    def snapshot(self) -> Snapshot:
        deployment = self.reader.deployment
        contracts = {
            "escrow contract": deployment.escrow,
            "registry contract (stakes)": deployment.registry,
            "rewards contract": deployment.rewards,
        }
        everybody = {**self.people, **contracts}
        return Snapshot(
            balances={name: self.reader.balance(address) for name, address in everybody.items()},
            claimable={name: self.reader.claimable(address) for name, address in self.people.items()},
        )


def require_same_total(*snapshots: Snapshot) -> None:
    """Nothing was made and nothing was lost between the snapshots."""
    totals = [each.total for each in snapshots]
    if len(set(totals)) != 1:
        raise TesseraError(
            f"the balances do not add up: {', '.join(f'{total} wei' for total in totals)} in all"
        )


def money_table(before: Snapshot, settled: Snapshot, claimed: Snapshot, unit: TokenUnit) -> Table:
    """One line a holder: before the order, what it was owed at settlement, after everybody
    pulled, the difference."""

    def _amount(wei: int) -> str:
        return grouped(wei, unit.decimals)

    table = Table(
        title=f"Where the money went ({unit.symbol or 'tokens'})", title_justify="left", show_footer=True
    )
    change_total = claimed.total - before.total
    table.add_column("holder", footer="in all")
    for heading, footer in (
        ("before", _amount(before.total)),
        ("owed at settlement", _amount(sum(settled.claimable.values()))),
        ("after the claims", _amount(claimed.total)),
        ("difference", _amount(change_total)),
    ):
        table.add_column(heading, footer=footer, justify="right")
    for name, held in before.balances.items():
        change = claimed.balances[name] - held
        owed = settled.claimable.get(name, 0)
        table.add_row(
            name,
            _amount(held),
            _amount(owed) if owed else "",
            _amount(claimed.balances[name]),
            ("+" if change > 0 else "") + _amount(change) if change else "",
        )
    return table


def test_split(schema: Schema) -> NDArray[np.int64]:
    """The bundled test rows as schema indices: nobody in the market has seen them."""
    header, rows = read_lines("adult_test.csv.gz")
    columns = zip(*(row.split(",") for row in rows), strict=True)
    cells = dict(zip(header.split(","), map(list, columns), strict=True))
    return encode_table(schema, cells)


def judge_rows(values: NDArray[np.int64], schema: Schema) -> JudgeReport:
    """Train on the synthetic rows, test on the real test split."""
    return judge(values, test_split(schema), schema)


@dataclass(frozen=True, slots=True)
class QualityView:
    """Everything that the demo says about quality."""

    manifest: Manifest
    report: JudgeReport
    names: dict[str, str]

    def table(self) -> Table:
        table = Table(title="Quality", title_justify="left")
        table.add_column("measured by")
        table.add_column("figure", justify="right")
        table.add_column("how")
        for entry in self.manifest.evaluation:
            name = self.names.get(str(entry.contributor).lower(), str(entry.contributor))
            how = "1 - mean pair TVD of the pool to its own hold-out, with noise, signed"
            table.add_row(name, f"{to_float(entry.score_micro, MICRO):.4f}", how)
        if self.report.auc is not None:
            how = "gradient boosting trained on these rows, tested on 16,281 real ones"
            table.add_row("held-out test split", f"AUC {self.report.auc:.4f}", how)
        table.add_row(
            "held-out test split",
            f"TVD {self.report.tvd2:.4f}",
            "mean two-way total variation distance, less is better",
        )
        return table
