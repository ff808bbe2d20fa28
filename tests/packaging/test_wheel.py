"""The wheel: what is in it, that it is not built without the contracts' interfaces, and what it can do with the base
dependencies alone - run from its unpacked files, with every other module hidden.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from tessera.extras import MODULES

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("backend", "generator", "provenance", "tessera")
BUILD = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"
DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "httpx_sse": "httpx-sse",
    "pydantic_settings": "pydantic-settings",
}
"""Where a module is not called as the distribution that brings it."""


def checkout(folder: Path) -> Path:
    """What a build reads of this checkout, in a folder of its own."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "LICENSE", "contracts/write_abi.mjs"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(folder: Path, to: Path) -> subprocess.CompletedProcess[str]:
    to.mkdir()
    command = [sys.executable, "-c", BUILD, str(to)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = build(checkout(folder / "checkout"), folder / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = (folder / "out").glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's files, as an installation lays them."""
    folder = tmp_path_factory.mktemp("site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_a_build_without_the_built_interfaces_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    folder = checkout(tmp_path / "checkout")
    (folder / "provenance/chain/abi/OrderEscrow.json").unlink()
    done = build(folder, tmp_path / "out")
    assert done.returncode != 0
    assert "lacks the interfaces of OrderEscrow," in done.stderr
    assert "make setup" in done.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_only_our_four_packages_come_with_their_data_and_no_readers_links(installed: Path) -> None:
    top = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert top == set(PACKAGES)
    listed = re.search(r"CONTRACTS = \[(.*?)\]", (ROOT / "contracts/write_abi.mjs").read_text(), re.DOTALL)
    assert listed is not None
    built = {path.stem for path in (installed / "provenance/chain/abi").iterdir()}
    assert built == {*re.findall(r'"(\w+)"', listed[1]), "sources"}
    for name in (
        "provenance/exact/tables_v1.bin",
        "tessera/devnet/data/adult_train.csv.gz",
        "tessera/devnet/data/SOURCES.md",
        "backend/page.html",
        "backend/database/migrations/script.py.mako",
        *(f"{package}/py.typed" for package in PACKAGES),
    ):
        assert (installed / name).is_file(), name
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    assert all((installed / path.relative_to(ROOT)).is_file() for path in sources)
    metadata = message_from_bytes(next(installed.glob("*.dist-info/METADATA")).read_bytes())
    assert metadata["Author"] == "Tessera contributors"
    assert "](" not in str(metadata.get_payload()), (
        "a link into the repository leads nowhere on a package's page"
    )
    assert metadata.get_all("Project-URL") is None


def test_every_module_of_an_extra_is_brought_by_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]

    def brought(extra: str) -> set[str]:
        names: set[str] = set()
        for entry in extras[extra]:
            inner = re.fullmatch(r"tessera-market\[(.*)\]", entry)
            names |= (
                {name for each in inner[1].split(",") for name in brought(each)}
                if inner
                else {re.split(r"[<>=~]", entry)[0]}
            )
        return names

    assert set(MODULES) == set(extras) - {"all"}
    for extra, modules in MODULES.items():
        wanted = {DISTRIBUTIONS.get(module, module) for module in modules}
        assert wanted <= brought(extra), extra
    assert brought("all") == {name for extra in MODULES for name in brought(extra)}


HIDDEN = """
import sys
from importlib.machinery import PathFinder

HIDDEN = set({hidden!r})
finders = list(sys.meta_path)

class Visible:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            return None
        for finder in finders:
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
        return None

    find_distributions = staticmethod(PathFinder.find_distributions)

sys.path[:] = [{site!r}, *(path for path in sys.path if path not in ("", {root!r}))]
sys.meta_path[:] = [Visible]
"""
EXTRAS = sorted({module for modules in MODULES.values() for module in modules} - {"pydantic"})
"""Typer's newest release stands on pydantic, so it is there with the base set too."""
ANY_THIRD_PARTY = [*EXTRAS, "pydantic", "numpy", "web3", "rich", "typer", "cryptography", "requests"]


def alone(installed: Path, code: str, hidden: list[str]) -> subprocess.CompletedProcess[str]:
    """`code` in a process that sees the wheel's files and no `hidden` module."""
    head = HIDDEN.format(hidden=hidden, site=str(installed), root=str(ROOT))
    command = [sys.executable, "-c", f"{head}\n{code}"]
    return subprocess.run(command, cwd=installed, capture_output=True, text=True, timeout=120)


def test_importing_the_package_needs_nothing_at_all(installed: Path) -> None:
    code = "import tessera; print(tessera.__file__, tessera.__version__, dir(tessera))"
    done = alone(installed, code, ANY_THIRD_PARTY)
    assert done.returncode == 0, done.stderr
    assert str(installed / "tessera") in done.stdout
    assert "'verify'" in done.stdout
    assert "'fit'" not in done.stdout, "it lacks its extra"


COMMAND = "from tessera.cli.app import main; main({words!r})"


def test_the_base_set_has_the_command_and_its_help(installed: Path) -> None:
    version = alone(installed, COMMAND.format(words=["--version"]), EXTRAS)
    assert version.returncode == 0, version.stderr
    assert re.fullmatch(r"tessera \d+\.\d+\.\d+\n", version.stdout)
    for words in (["--help"], ["request", "--help"], ["node", "run", "--help"], ["up", "--help"]):
        shown = alone(installed, COMMAND.format(words=words), EXTRAS)
        assert shown.returncode == 0, shown.stderr
        assert "Examples:" in shown.stdout


def test_the_base_set_verifies_as_far_as_to_its_chain(installed: Path, tmp_path: Path) -> None:
    words = ["verify", "--dataset", f"eip155:1/erc721:0x{'11' * 20}/7", "--rpc", "http://127.0.0.1:9"]
    done = alone(installed, COMMAND.format(words=[*words, "--store", str(tmp_path)]), EXTRAS)
    assert done.returncode == 2
    assert "no usable answer to eth_chainId" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["fit", "t.csv", "--schema", "s.json", "--out", "m.tsm"], "generator"),
        (["schema", "show", "s.json"], "generator"),
        (["evaluate", "a.csv", "b.csv", "--schema", "s.json"], "evaluate"),
        (["audit", "m.tsm", "t.csv"], "generator"),
        (["orders"], "client"),
        (["request", "--wallet", "w", "--rows", "5", "--out", "r.csv", "--collection", "c"], "client"),
        (["node", "status"], "node"),
        (["coordinator", "--backend", "u", "--rpc", "u", "--broker-key", "k"], "backend"),
        (["schema", "check", "s.json", "t.parquet"], "parquet"),
    ],
)
def test_a_missing_extra_is_one_sentence_that_names_it(
    installed: Path, tmp_path: Path, words: list[str], extra: str
) -> None:
    schema = '{"format": "tessera-schema/1", "name": "t", "columns": [{"name": "a", "type": "boolean"}]}'
    (tmp_path / "s.json").write_text(schema, encoding="utf-8")
    here = [word.replace("s.json", str(tmp_path / "s.json")) for word in words]
    done = alone(installed, COMMAND.format(words=here), EXTRAS)
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.strip().endswith(f"pip install 'tessera-market[{extra}]'")


@pytest.mark.parametrize(
    ("name", "extra"),
    [("fit", "generator"), ("audit", "generator"), ("evaluate", "evaluate"), ("Client", "client")],
)
def test_a_name_that_lacks_its_extra_names_it(installed: Path, name: str, extra: str) -> None:
    code = f"import tessera\ntry:\n    tessera.{name}\nexcept ImportError as error:\n    print(error)"
    done = alone(installed, code, EXTRAS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"tessera.{name} needs ")
    assert done.stdout.strip().endswith(f"pip install 'tessera-market[{extra}]'")


def test_the_base_set_reads_and_infers_schemas_and_loads_models(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("age,late\n" + "30,yes\n41,no\n" * 2, encoding="utf-8")
    code = f"""
import tessera
schema = tessera.schema.infer({str(tmp_path / "t.csv")!r})
try:
    tessera.load({str(tmp_path / "t.csv")!r})
except ValueError as error:
    print(schema.cell_names, type(error).__name__)
"""
    done = alone(installed, code, EXTRAS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "('age', 'late') DocumentError"
