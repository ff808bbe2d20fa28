"""The one thing that pyproject.toml cannot say: no distribution without the built interfaces of the contracts."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
INTERFACES = ROOT / "provenance" / "chain" / "abi"
WRITER = ROOT / "contracts" / "write_abi.mjs"


def missing_interfaces() -> list[str]:
    """Contracts whose interface is not built. A source distribution has interfaces and no contracts to compare with."""
    if not WRITER.is_file():
        return [] if any(INTERFACES.glob("*.json")) else ["any contract"]
    listed = re.search(r"CONTRACTS = \[(.*?)\]", WRITER.read_text(encoding="utf-8"), re.DOTALL)
    names = re.findall(r'"(\w+)"', listed[1]) if listed else []
    return [name for name in names if not (INTERFACES / f"{name}.json").is_file()]


class BuildWithInterfaces(build_py):
    """`build_py`, refused where the package could not speak with a chain. An editable installation is built later."""

    def run(self) -> None:
        missing = [] if self.editable_mode else missing_interfaces()
        if missing:
            raise SystemExit(
                f"\nrefused to build: {INTERFACES} lacks the interfaces of {', '.join(missing)}, without which nothing "
                "talks to a chain.\nRun `make setup` (or `npm ci && npm run abi`) in the checkout, then build again.\n"
            )
        super().run()


setup(cmdclass={"build_py": BuildWithInterfaces})
