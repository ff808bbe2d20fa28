"""No part of Tessera leaves a process whose JSON parser can be made to overflow its stack."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "module",
    [
        "provenance.crypto.signing",
        "provenance.chain.reader",
        "provenance.chain.writer",
        "provenance.chain.deploy",
    ],
)
def test_importing_keeps_the_recursion_limit_and_deep_json_raises(module: str) -> None:
    code = (
        "import json, sys\n"
        f"import {module}\n"
        "assert sys.getrecursionlimit() == 1000, sys.getrecursionlimit()\n"
        "from eth_account import Account\n"
        "assert sys.getrecursionlimit() == 1000, sys.getrecursionlimit()\n"
        "try:\n    json.loads('[' * 100000)\n"
        "except RecursionError:\n    print('raised')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stdout == "raised\n", result.stderr
