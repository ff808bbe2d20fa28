"""The names that a source file defines: what a page may say that it has."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

SOLIDITY = re.compile(r"\b(?:contract|interface|library|struct|enum|error|event|function|modifier)\s+(\w+)")


@cache
def names_in(path: Path) -> frozenset[str]:
    """Of a Python file: top-level names, `Class.member`, what `__all__` lists. Of a Solidity file: its declarations."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sol":
        return frozenset(SOLIDITY.findall(text))
    found: set[str] = set()
    for node in ast.parse(text).body:
        for name in _bound(node):
            found.add(name)
        if isinstance(node, ast.ClassDef):
            found.update(f"{node.name}.{name}" for member in node.body for name in _bound(member))
        if isinstance(node, ast.Assign) and _bound(node) == ["__all__"]:
            found.update(ast.literal_eval(node.value))
    return frozenset(found)


def _bound(node: ast.stmt) -> list[str]:
    """The names that a statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []
