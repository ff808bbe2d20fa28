"""Every link, anchor, path, module, make target and extra that a page names is there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.names import names_in

ROOT = Path(__file__).parents[2]
NOT_OURS = {"node_modules", ".venv", ".venv-audit", "run", "build", "dist"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part in NOT_OURS or part.startswith(".pytest") for part in path.relative_to(ROOT).parts)
)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+?)\s*$", re.MULTILINE)
SPAN = re.compile(r"`([^`\n]+)`")
TOP = tuple(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
PACKAGES = ("backend", "benchmarks", "generator", "provenance", "scripts", "tessera", "tests")
MODULE = re.compile(rf"(?:{'|'.join(PACKAGES)})(?:\.[A-Za-z_]\w*)+")
BUILT = ("provenance/chain/abi/",)
"""What `make setup` builds may be named and absent."""


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = set()
    for heading in HEADING.findall(prose(path)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", text).replace(" ", "-"))
    return found


def broken_links(page: Path) -> Iterator[str]:
    for plain, picture in LINK.findall(prose(page)):
        target = unquote(plain or picture)
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = page if not name else (page.parent / name).resolve()
        if not path.exists() or not path.is_relative_to(ROOT):
            yield f"{target}: no such file"
        elif anchor and anchor not in anchors(path):
            yield f"{target}: no such heading, there are {sorted(anchors(path))}"


def braces(text: str) -> list[str]:
    """`a/{b,c}.py` as a/b.py and a/c.py."""
    parts = re.split(r"\{([^{}]*)\}", text)
    choices = [part.split(",") if i % 2 else [part] for i, part in enumerate(parts)]
    return ["".join(each) for each in product(*choices)]


def exists(name: str) -> bool:
    if name.startswith(BUILT):
        return True
    return any(ROOT.glob(name.rstrip("/"))) if "*" in name else (ROOT / name).exists()


def named_paths(text: str) -> list[str]:
    """What reads as a path of ours: it begins with a top folder, and holds nothing but a path.

    A last part of digits alone is the version in the name of a format, such as `tessera/row-noise/1`.
    """
    spans = [span for span in SPAN.findall(text) if re.fullmatch(r"[\w./{},*\-]+(?<!/\d)", span)]
    return [each for span in spans if span.split("/")[0] in TOP and "/" in span for each in braces(span)]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_path_and_module_that_a_page_names_exists(page: Path) -> None:
    text = prose(page)
    assert [name for name in named_paths(text) if not exists(name)] == []
    modules = [span for span in SPAN.findall(text) if MODULE.fullmatch(span)]
    assert [name for name in modules if not is_module_or_name(name)] == []


def is_module_or_name(dotted: str) -> bool:
    """Whether `a.b.c` is a module, a package, or a name in one."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        rest = parts[length:]
        if base.with_suffix(".py").is_file():
            return not rest or ".".join(rest) in names_in(base.with_suffix(".py"))
        if (base / "__init__.py").is_file():
            return not rest or rest[0] in names_in(base / "__init__.py")
    return False


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_make_target_and_extra_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", text, re.MULTILINE))
    assert {first or second for first, second in named} - targets == set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name for group in re.findall(r"tessera-market\[([\w,]+)\]", text) for name in group.split(",")}
    assert extras - set(project["optional-dependencies"]) == set()


def test_the_checks_bite(tmp_path: Path) -> None:
    page = ROOT / "docs" / "spec" / "rows.md"
    assert "noise" in anchors(page)
    assert not exists("provenance/crypto/no_such_file.py")
    assert exists("provenance/crypto/*.py")
    assert named_paths("see `provenance/{crypto,table}/__init__.py`, `docs` and `a/b`") == [
        "provenance/crypto/__init__.py",
        "provenance/table/__init__.py",
    ]
    assert not is_module_or_name("provenance.crypto.seal.no_such_name")
    assert is_module_or_name("provenance.crypto.seal.DeliveryKey")
    planted = tmp_path / "page.md"
    planted.write_text("[a](nowhere.md) [b](#none)\n\n```\n[c](in-a-fence.md)\n```\n", encoding="utf-8")
    assert len(list(broken_links(planted))) == 2
