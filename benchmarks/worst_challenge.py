"""Searches the size class for what costs most to judge: by random starts and steps uphill.

    python -m benchmarks.worst_challenge --short         # some hundred shapes, half a minute
    python -m benchmarks.worst_challenge --tries 4000    # some minutes

Prints, for a row, a conditioned row and a model, the costliest shape of the class: gas of a whole transaction that
sends the bytes to RowVerifier, one attempt of a row. Ends with an error when, with what a conviction adds, it passes
the cap. Starts its own anvil; the contract is called, never deployed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import httpx

from benchmarks import program_parser
from benchmarks.compare_rows import GAS_LIMIT, VERIFIER, running_anvil
from benchmarks.gas.worst_models import Shape, mutated, random_shape
from provenance.chain.abi import interface
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.crypto.merkle import rows_per_chunk
from provenance.values import sha256
from tessera.client.attempt_steps import CONVICTION_GAS

SHORT_TRIES: Final = 240
_METER = bytes([0x7D] * 20)
_BATCHES = 12


@dataclass(frozen=True, slots=True)
class Found:
    """A shape and what its judgement costs, as one transaction to the verifier."""

    gas: int
    shape: Shape


class Meter:
    """A contract that forwards its calldata to the verifier and returns success and gas used."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._interface = interface("RowVerifier")
        self._client = httpx.Client(timeout=120)
        creation = {"data": "0x" + self._interface.bytecode.hex(), "gas": hex(GAS_LIMIT)}
        self._ask("anvil_setCode", str(VERIFIER), self._ask("eth_call", creation, "latest"))
        # gas before, staticcall(gas, verifier, 0, calldatasize, 0, 0), gas after; success and the difference
        forward = bytes.fromhex("365f5f375a5f5f365f73") + bytes(VERIFIER) + bytes.fromhex("5afa5a90")
        code = forward + bytes.fromhex("5f52900360205260405ff3")
        self._ask("anvil_setCode", "0x" + _METER.hex(), "0x" + code.hex())

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def row(self, shape: Shape) -> int:
        """The last attempt at row 0 of a shard of one row, against other bytes."""
        model, width = shape.model(), len(shape.codes) * shape.value_width
        rows = rows_per_chunk(width)
        query = (bytes(sha256(model)), bytes(32), bytes(32), 1, 0, rows, 0, 0, 0, 63)
        return self._gas("judge", model, [], shape.conditions(), query, b"\x01" * (rows * width))

    def model(self, shape: Shape) -> int:
        """The model alone."""
        return self._gas("judgeModel", shape.model(), [], bytes(32), 1)

    def _gas(self, function: str, *arguments: Any) -> int:
        data = self._interface.encode_call(function, list(arguments))
        call = {"to": "0x" + _METER.hex(), "data": "0x" + data.hex(), "gas": hex(GAS_LIMIT)}
        result = bytes.fromhex(self._ask("eth_call", call, "latest").removeprefix("0x"))
        assert int.from_bytes(result[:32]), f"{function} reverted"
        zeroes = data.count(0)
        tokens = zeroes + 4 * (len(data) - zeroes)
        return 21_000 + max(4 * tokens + int.from_bytes(result[32:]), 10 * tokens)

    def _ask(self, method: str, *params: object) -> str:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer: dict[str, Any] = self._client.post(self._url, json=body).raise_for_status().json()
        assert "result" in answer, f"{method}: {answer}"
        return str(answer["result"])


def climb(cost: Callable[[Shape], int], conditioned: bool, tries: int, random: Random) -> Found:
    """The costliest shape of the class that was met in `tries` measurements."""
    best: Found | None = None
    for _ in range(_BATCHES):
        here = _start(cost, conditioned, random)
        for _ in range(tries // _BATCHES):
            shape = mutated(here.shape, random)
            if not shape.is_in_class or (conditioned and not shape.conditions()):
                continue
            there = Found(cost(shape), shape)
            if there.gas >= here.gas:
                here = there
        if best is None or here.gas > best.gas:
            best = here
    assert best is not None, "at least one batch"
    return best


def _start(cost: Callable[[Shape], int], conditioned: bool, random: Random) -> Found:
    while True:
        shape = random_shape(random, conditioned)
        if shape.is_in_class and bool(shape.conditions()) == conditioned:
            return Found(cost(shape), shape)


def main(arguments: list[str] | None = None) -> int:
    """0 if everything that was found fits a transaction."""
    parser = program_parser(__doc__, f"{SHORT_TRIES} shapes a question")
    parser.add_argument("--tries", type=int, default=4000, help="shapes a question (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the search")
    options = parser.parse_args(arguments)
    tries = SHORT_TRIES if options.short else options.tries
    random = Random(options.seed)
    worst = 0
    with running_anvil() as url:
        meter = Meter(url)
        try:
            for what, cost, conditioned in (
                ("a row", meter.row, False),
                ("a conditioned row", meter.row, True),
                ("a model", meter.model, False),
            ):
                found = climb(cost, conditioned, tries, random)
                worst = max(worst, found.gas)
                print(f"{what}: {found.gas:,} gas; {_words(found.shape)}", flush=True)
        finally:
            meter.close()
    print(
        f"with {CONVICTION_GAS:,} gas of a conviction {worst + CONVICTION_GAS:,}, the cap is {TRANSACTION_GAS_CAP:,}"
    )
    return 0 if worst + CONVICTION_GAS <= TRANSACTION_GAS_CAP else 1


def _words(shape: Shape) -> str:
    size = f"{shape.model_bytes:,} bytes, {shape.multiplications:,} multiplications"
    counts = f"{len(shape.codes)} columns, {sum(shape.codes)} codes"
    words = f"architecture {shape.architecture}, widths {shape.widths}, {counts}, {size}"
    prefix = f"; prefix {shape.prefix.steps} steps, work {shape.prefix.work:,}, {shape.ranges} ranges"
    return words + prefix if shape.allowed else words


if __name__ == "__main__":
    sys.exit(main())
