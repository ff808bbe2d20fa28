"""What a block explorer needs to show the source of a market's contracts: the compiler's own input, byte by byte what
the deployed code was made of.

    DIR/<Contract>.json      standard JSON input of the Solidity compiler, as explorers take it
    DIR/contracts.json       for each contract: address, file, compiler version, constructor arguments

The sources come with the package (abi/sources.json, written by `npm run abi`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from provenance.chain.abi import read_built
from provenance.chain.market_plan import Creation
from provenance.files import READABLE, write_whole

INDEX = "contracts.json"
_SOURCES = "sources"


def standard_input(contract: str) -> dict[str, Any]:
    """The standard JSON input that the contract was compiled from."""
    sources = read_built(_SOURCES)
    told = sources["contracts"][contract]
    files = {name: sources["files"][name] for name in told["sources"]}
    return {"language": told["language"], "sources": files, "settings": told["settings"]}


def write_verification(folder: Path, creations: Iterable[Creation]) -> None:
    """Writes the files of a market, those of an earlier run replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    told = read_built(_SOURCES)["contracts"]
    index = {}
    for each in creations:
        _write(folder / f"{each.contract}.json", standard_input(each.contract))
        index[each.contract] = {
            "address": str(each.address),
            "contract": told[each.contract]["place"],
            "compiler": told[each.contract]["compiler"],
            "constructorArguments": each.arguments.hex(),
        }
    _write(folder / INDEX, index)


def _write(path: Path, document: dict[str, Any]) -> None:
    write_whole(path, (json.dumps(document, indent=1) + "\n").encode(), mode=READABLE)
