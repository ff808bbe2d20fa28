"""Tokens that are not ours, compiled for the tests: tests/contracts/support/ForeignTokens.sol."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

from provenance.chain.rpc import Rpc
from provenance.chain.sender import TransactionSender
from provenance.values import Address
from tessera.devnet.network import CHECKOUT

SOURCE = CHECKOUT / "tests/contracts/support/ForeignTokens.sol"
_COMPILE = """
const fs = require("node:fs"), solc = require("solc");
const read = (path) => ({ contents: fs.readFileSync(require.resolve(path), "utf8") });
process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: read }));
"""


@cache
def _compiled() -> dict[str, bytes]:
    """Creation code by name of the contract."""
    task = {
        "language": "Solidity",
        "sources": {SOURCE.name: {"content": SOURCE.read_text(encoding="utf-8")}},
        "settings": {"evmVersion": "cancun", "outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
    }
    node = Path(sys.executable).parent / "node"
    done = subprocess.run(
        [str(node), "-e", _COMPILE], input=json.dumps(task), capture_output=True, text=True, cwd=CHECKOUT
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    wrong = [each for each in answer.get("errors", []) if each["severity"] == "error"]
    assert not wrong, wrong
    return {
        name: bytes.fromhex(found["evm"]["bytecode"]["object"])
        for name, found in answer["contracts"][SOURCE.name].items()
    }


def deploy_token(rpc: Rpc, sender: TransactionSender, name: str) -> Address:
    """A new token of that contract."""
    receipt = sender.send(None, _compiled()[name], f"deployment of {name}")
    return Address.parse(rpc.request("eth_getTransactionReceipt", str(receipt.hash))["contractAddress"])
