"""What every transaction of the product costs, on a chain of its own.

    python -m benchmarks.run_gas --short    # half a minute: random generators of about the same shapes
    python -m benchmarks.run_gas            # two minutes, most of them to fit the generators
    python -m benchmarks.run_gas --write    # the same, and docs/gas.md again

Ends with an error when a transaction or a contract is beyond what the chain takes, or a step beyond what is
promised and not argued.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Final

from benchmarks import program_parser
from benchmarks.gas import disputes, order
from benchmarks.gas.figures import Figure, check, page
from benchmarks.gas.market import CHECKOUT, GasMarket, market
from tessera.devnet.chain import find_anvil
from tessera.terminal import exit_status, say

PAGE = CHECKOUT / "docs/gas.md"
Measurement = Callable[[GasMarket], list[Figure]]
MEASUREMENTS: Final[tuple[Measurement, ...]] = (order.measure, disputes.measure)
"""One function a kind of transaction, each on the same market. Its figures join the tables."""
SHORT: Final[tuple[Measurement, ...]] = (order.measure, disputes.measure_quickly)
"""The same without fitting anything."""


def main() -> None:
    """Measures, prints, checks and on request writes."""
    parser = program_parser(__doc__, "random generators instead of fitted ones; nothing is written")
    parser.add_argument("--write", action="store_true", help="write the table to docs/gas.md")
    arguments = parser.parse_args()
    if arguments.write and arguments.short:
        parser.error("--write is for the fitted generators: leave out --short")
    measurements = SHORT if arguments.short else MEASUREMENTS
    version = subprocess.run([find_anvil(CHECKOUT), "--version"], capture_output=True, text=True, check=True)
    with market() as place:
        contracts = place.contracts()
        figures = [figure for measure in measurements for figure in measure(place)]
    setting = {"chain": version.stdout.splitlines()[0], "compiler": "solc 0.8.37, IR, as deployed"}
    text = page(figures, contracts, setting)
    say(text)
    if arguments.write:
        PAGE.write_text(text, encoding="utf-8")
        say(f"written to {PAGE.relative_to(CHECKOUT)}")
    check(figures, contracts)


if __name__ == "__main__":
    sys.exit(exit_status(main))
