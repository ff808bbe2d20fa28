"""Compares rows made by the contract RowVerifier with rows made here, on random models, seeds, rows and conditions.

    python -m benchmarks.compare_rows --short                 # 240 rows, some seconds
    python -m benchmarks.compare_rows --comparisons 10000     # some minutes

Without conditions the row comes from the sampler that makes data sets, under conditions from the plain-integer
reference. Starts its own anvil; the contract is called, never deployed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import program_parser
from benchmarks.random_models import Allowed, RandomModels
from provenance.chain.abi import interface
from provenance.crypto.merkle import rows_per_chunk
from provenance.errors import ConditionUnmetError
from provenance.exact.model import Model
from provenance.exact.reference_conditions import conditioned_row, factor
from provenance.exact.rows import encode_rows
from provenance.exact.sampler import Sampler
from provenance.table.conditions import Segment
from provenance.table.conditions_bytes import encode_segments
from provenance.values import Address, sha256
from tessera.devnet import chain
from tessera.devnet.children import LOOPBACK, free_port
from tessera.errors import TesseraError

CHECKOUT = Path(__file__).resolve().parents[1]
VERIFIER = Address(bytes([0x7E] * 20))
# far above a block's: a conditioned row may take 64 attempts, and it is only a call
GAS_LIMIT = 4_000_000_000
ROWS_A_MODEL = 12
SHORT_COMPARISONS = 240
_LARGEST_SEGMENT = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Count:
    """What has been compared, and how many rows differed."""

    models: int = 0
    rows: int = 0
    conditioned: int = 0
    without_row: int = 0
    different: int = 0


class Verifier:
    """The contract on a chain, by calls."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._interface = interface("RowVerifier")
        errors = self._interface.errors.items()
        self._no_such_row = next(key for key, entry in errors if entry.name == "RowVerifier_NoSuchRow")
        self._client = httpx.Client(timeout=120)
        creation = {"data": "0x" + self._interface.bytecode.hex(), "gas": hex(GAS_LIMIT)}
        runtime = self._answer("eth_call", creation, "latest")["result"]
        self._answer("anvil_setCode", str(VERIFIER), runtime)

    def close(self) -> None:
        """Closes its connections."""
        self._client.close()

    def row(
        self, model: bytes, conditions: bytes, seed: bytes, shard: int, row: int, row_width: int
    ) -> bytes | None:
        """Row `row` of a shard whose row 0 is the request's; None where the contract says there is none."""
        per_chunk = rows_per_chunk(row_width)
        query = (
            bytes(sha256(model)),
            seed,
            model[16:48],
            0,
            shard,
            row + 1,
            0,
            row // per_chunk,
            row % per_chunk,
            0,
        )
        data = self._interface.encode_call("rowOf", [model, conditions, query])
        call = {"to": str(VERIFIER), "data": "0x" + data.hex(), "gas": hex(GAS_LIMIT)}
        answer = self._answer("eth_call", call, "latest")
        if "result" in answer:
            result = bytes.fromhex(answer["result"].removeprefix("0x"))
            return bytes(self._interface.decode_result("rowOf", result)["row"])
        reason = str(answer["error"].get("data", ""))
        if reason.startswith("0x" + self._no_such_row.hex()):
            return None
        raise TesseraError(f"rowOf reverted with {answer['error']}, expected a row or RowVerifier_NoSuchRow")

    def _answer(self, method: str, *params: object) -> dict[str, Any]:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        answer: dict[str, Any] = self._client.post(self._url, json=body).raise_for_status().json()
        return answer


def expected_row(
    model: Model, data: bytes, seed: bytes, shard: int, row: int, allowed: Allowed
) -> bytes | None:
    """The row by the reference; None if no code is allowed or no attempt meets the conditions."""
    book = model.codebook
    for column in allowed:
        if not any(factor(book, column, code, allowed) for code in range(book.code_counts[column])):
            return None
    try:
        values, _ = conditioned_row(data, seed, shard, row, allowed)
    except ConditionUnmetError:
        return None
    pairs = zip(values, book.value_widths, strict=True)
    return b"".join(value.to_bytes(size, "big") for value, size in pairs)


def compare(verifier: Verifier, comparisons: int, seed: int) -> Iterator[Count]:
    """Running counts, model by model, until `comparisons` rows are compared."""
    random = RandomModels(seed)
    models = rows = conditioned = without_row = different = 0
    while rows < comparisons:
        model, data = random.model()
        noise, shard = random.seed(), random.number(0, 2**32)
        first = random.number(0, 2**16 if models % 2 else 2**31)
        sampler = Sampler(data, noise, shard)
        plain = encode_rows(sampler.values(first, ROWS_A_MODEL), model.codebook.value_widths)
        width = model.codebook.row_width
        for i in range(ROWS_A_MODEL):
            allowed: Allowed = {}
            expected: bytes | None = plain[i * width : (i + 1) * width]
            if i % 4 == 3:
                allowed = random.conditions(model)
                expected = expected_row(model, data, noise, shard, first + i, allowed)
                conditioned += 1
            asked = {column: tuple(ranges) for column, ranges in allowed.items()}
            conditions = encode_segments([Segment(_LARGEST_SEGMENT, asked)]) if asked else b""
            answered = verifier.row(data, conditions, noise, shard, first + i, width)
            without_row += expected is None
            if answered != expected:
                different += 1
                _tell(data, noise, shard, first + i, allowed, answered, expected)
            rows += 1
        models += 1
        yield Count(models, rows, conditioned, without_row, different)


def _tell(
    data: bytes,
    seed: bytes,
    shard: int,
    row: int,
    allowed: Allowed,
    answered: bytes | None,
    expected: bytes | None,
) -> None:
    print(
        f"row {row} of shard {shard}, seed {seed.hex()}, conditions {allowed}: found "
        f"{'no row' if answered is None else answered.hex()}, expected "
        f"{'no row' if expected is None else expected.hex()}; model {data.hex()}",
        file=sys.stderr,
    )


@contextmanager
def running_anvil() -> Iterator[str]:
    """URL of an anvil of our own."""
    port = free_port()
    anvil = chain.find_anvil(CHECKOUT)
    arguments = ["--host", LOOPBACK, "--port", str(port), "--gas-limit", str(GAS_LIMIT), "--silent"]
    process = subprocess.Popen([str(anvil), *arguments], stdout=subprocess.DEVNULL)
    url = f"http://{LOOPBACK}:{port}"
    try:
        while not chain.answers(url):
            if process.poll() is not None:
                raise TesseraError(f"{anvil} ended with {process.returncode}; is port {port} in use?")
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def main(arguments: list[str] | None = None) -> int:
    """0 if all rows agree."""
    parser = program_parser(__doc__, f"{SHORT_COMPARISONS} rows")
    parser.add_argument("--comparisons", type=int, default=10_000, help="rows (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the random models")
    options = parser.parse_args(arguments)
    if options.comparisons < 1:
        parser.error(f"found {options.comparisons} comparisons, expected at least 1")
    comparisons = SHORT_COMPARISONS if options.short else options.comparisons
    with running_anvil() as url:
        verifier = Verifier(url)
        try:
            *_, count = compare(verifier, comparisons, options.seed)
        finally:
            verifier.close()
    print(
        f"{count.rows:,} rows of {count.models:,} models compared, {count.conditioned:,} of them under conditions "
        f"({count.without_row:,} could not be met): {count.different:,} differ"
    )
    return 1 if count.different else 0


if __name__ == "__main__":
    sys.exit(main())
