"""The house rules on imports hold, and the guard bites: each planted violation is caught."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests.waiting import HANG_SECONDS

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("backend", "benchmarks", "generator", "provenance", "scripts", "tessera")
ONE_WAY = "imports point one way"
TORCH = "torch stays in generator"
FASTAPI = "FastAPI and SQLAlchemy stay in backend"
WEB3 = "web3 stays in provenance.chain"
ROOMS = "rooms of provenance"
GENERATOR = "the rooms of generator point one way"
TESSERA = "the rooms of tessera point one way"
TOLD = "below the command line nothing prints or prompts"
BACKEND = "the rooms of backend point one way"
WORKFLOW = "the steps of an order's workflow point one way"
HTTP = "one HTTP client of the market: provenance.api.client"
CIRCLES = "no room and no module is in a circle"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    wide = {**os.environ, "COLUMNS": "200"}  # the names of contracts, each on one line
    return subprocess.run(command, cwd=folder, env=wide, capture_output=True, text=True, timeout=HANG_SECONDS)


def broken(result: subprocess.CompletedProcess[str]) -> list[str]:
    """The contracts that the linter's summary calls broken."""
    return [line.removesuffix(" BROKEN") for line in result.stdout.splitlines() if line.endswith(" BROKEN")]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "abi", "data")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("place", "statement", "contract"),
    [
        ("generator", "import backend", ONE_WAY),
        ("generator", "import benchmarks", ONE_WAY),
        ("tessera", "import benchmarks", ONE_WAY),
        ("backend", "import generator", ONE_WAY),
        ("provenance/crypto", "import generator", ONE_WAY),
        ("provenance/crypto", "import backend", ONE_WAY),
        ("provenance/crypto", "import torch", TORCH),
        ("backend", "import torch", TORCH),
        ("generator", "import fastapi", FASTAPI),
        ("generator", "import sqlalchemy", FASTAPI),
        ("backend", "import web3", WEB3),
        ("provenance/exact", "import web3", WEB3),
        ("provenance/crypto", "import provenance.table.schema", ROOMS),
        ("provenance/table", "import provenance.exact.model", ROOMS),
        ("provenance/exact", "import provenance.record.terms", ROOMS),
        ("provenance/record", "import provenance.chain.ports", ROOMS),
        ("provenance/record", "import provenance.store.ports", ROOMS),
        ("provenance/chain", "import provenance.store.ports", ROOMS),
        ("provenance/store", "import provenance.chain.ports", ROOMS),
        ("provenance/chain", "import provenance.verify.certificate", ROOMS),
        ("generator/federation", "import generator.families.family", GENERATOR),
        ("generator/privacy", "import generator.federation.task", GENERATOR),
        ("generator/learning", "import generator.federation.plan", GENERATOR),
        ("generator/families", "import generator.node.policy", GENERATOR),
        ("generator/fitting", "import generator.node.policy", GENERATOR),
        ("tessera/devnet", "import tessera.cli.app", TESSERA),
        ("tessera/local", "import tessera.client.client", TESSERA),
        ("tessera/client", "import rich", TOLD),
        ("tessera/local", "import typer", TOLD),
        ("tessera/client", "import tessera.terminal", TOLD),
        ("generator/node", "import rich", TOLD),
        ("backend/http", "import getpass", TOLD),
        ("provenance/crypto", "import typer", TOLD),
        ("provenance/api", "import provenance.chain.ports", ROOMS),
        ("generator/node", "import httpx", HTTP),
        ("tessera/client", "import httpx", HTTP),
        ("backend/http", "import tenacity", HTTP),
        ("provenance/api", "import provenance.store.ports", ROOMS),
        ("backend/database", "import backend.orders.repository", BACKEND),
        ("backend/http", "import backend.collections", BACKEND),
        ("backend/orders", "import backend.tasks.repository", BACKEND),
        ("backend/orders", "import backend.workflow.retry", BACKEND),
        ("backend/indexer", "import backend.workflow.retry", BACKEND),
    ],
)
def test_planted_violation_is_caught(copy: Path, place: str, statement: str, contract: str) -> None:
    (copy / place / "planted.py").write_text(f'"""Planted."""\n\n{statement}\n')
    result = lint(copy)
    assert result.returncode == 1, result.stdout
    assert any(name.startswith(contract) for name in broken(result)), result.stdout
    assert "planted" in result.stdout


@pytest.mark.parametrize(
    ("place", "status"),
    [
        ("tessera/client", 1),
        ("tessera/local", 1),
        ("provenance/verify", 1),
        ("generator/node", 1),
        ("scripts", 0),
    ],
)
def test_a_planted_print_is_caught_where_nothing_may_be_said(place: str, status: int) -> None:
    command = [
        str(Path(sys.executable).parent / "ruff"),
        "check",
        "--stdin-filename",
        f"{place}/planted.py",
        "-",
    ]
    code = '"""Planted."""\n\nprint("found")\n'
    result = subprocess.run(command, cwd=ROOT, input=code, capture_output=True, text=True, timeout=60)
    assert result.returncode == status, result.stdout + result.stderr
    assert ("T201" in result.stdout) == bool(status)


def test_a_step_that_imports_a_later_one_is_caught(copy: Path) -> None:
    with (copy / "backend/workflow/retry.py").open("a") as module:
        module.write("\n\nimport backend.workflow.settle\n")
    assert WORKFLOW in broken(lint(copy))


def test_an_import_that_only_types_need_counts(copy: Path) -> None:
    code = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    import provenance.verify.certificate\n"
    (copy / "provenance/crypto/planted.py").write_text(code)
    names = broken(lint(copy))
    assert len(names) == 2, names
    assert names[0].startswith(ROOMS)
    assert names[1] == CIRCLES  # verify stands on crypto


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("provenance.table.one", "provenance.table.two"),
        ("scripts.one", "scripts.two"),
        ("generator.privacy.one", "generator.privacy.two"),
    ],
)
def test_planted_circle_is_caught(copy: Path, first: str, second: str) -> None:
    for here, there in ((first, second), (second, first)):
        (copy / here.replace(".", "/")).with_suffix(".py").write_text(f"import {there}\n")
    assert broken(lint(copy)) == [CIRCLES]


def test_planted_module_at_the_root_of_provenance_is_caught(copy: Path) -> None:
    (copy / "provenance/planted.py").write_text('"""Planted."""\n')
    result = lint(copy)
    assert result.returncode == 1, result.stdout
    assert "provenance.planted" in result.stdout


def test_imports_point_one_way() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout


def test_no_module_imports_itself_by_a_detour() -> None:
    """In every package, imports for types and imports inside functions included."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    circles = []
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            chain = graph.find_shortest_chain(importer=imported, imported=module)
            if chain is not None:
                circles.append(" -> ".join((module, *chain)))
    assert circles == []


def test_importing_provenance_loads_nothing_heavy() -> None:
    code = "import sys, provenance; print(sorted({'numpy','web3','torch','cryptography'} & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
