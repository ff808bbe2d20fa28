"""The auditor's part: `tessera verify` as a process of its own, over the true files and over forged ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from provenance.values import Cid
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
