"""How fast the exact sampler is, against the machine and against CTGAN's sampler in the same run.

    python -m benchmarks.sampler --short                                  # seconds: that everything runs
    python -m benchmarks.sampler --model model.tsm                        # a model of `tessera fit`
    python -m benchmarks.sampler --ctgan-python ~/peers/ctgan/bin/python  # beside CTGAN

One thread, CPU seconds, integer codes in memory (int64, a row a line). Without --model a generator is fitted to
the bundled Adult table for a few seconds. The limit is what the row cannot do without: its Philox words and its
multiplications at the rates that numpy and BLAS reach here on arrays of the sampler's own shape. CTGAN runs in
an environment of its own, after one epoch, which does not change how fast it samples; `network` leaves out
turning its vectors into cells. Rounds alternate and the best of each counts, so that a busy machine slows both.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import program_parser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from provenance.exact.codebook import Codebook
    from provenance.exact.mlp_model import MlpModel
    from provenance.exact.sampler import Sampler

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ADULT = Path(__file__).parents[1] / "tessera" / "devnet" / "data"
SEED = bytes(32)
FIT_SECONDS = 8.0
ROUNDS = 5
SHORT_FIT_SECONDS, SHORT_ROWS = 2.0, 4096
_MLP_WIDTHS = (64, 128, 128)

CTGAN = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, torch
from ctgan import CTGAN
torch.set_num_threads(1)
table, rows = pd.read_csv(sys.argv[1]), int(sys.argv[2])
model = CTGAN(epochs=1, enable_gpu=False)
model.fit(table, [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])])

def network(rows):
    # CTGAN.sample without its last line, which turns vectors into a table
    size = model._batch_size
    with torch.no_grad():
        for _ in range(-(-rows // size)):
            noise = torch.normal(torch.zeros(size, model._embedding_dim), 1.0)
            condition = torch.from_numpy(model._data_sampler.sample_original_condvec(size))
            model._apply_activate(model._generator(torch.cat([noise, condition], dim=1))).numpy()

print("ready", flush=True)
for line in sys.stdin:
    found = {}
    for name, run in (("sample", model.sample), ("network", network)):
        start = time.process_time()
        run(rows)
        found[name] = rows / (time.process_time() - start)
    print(json.dumps(found), flush=True)
"""


class CtganProcess:
    """CTGAN in another interpreter, measured whenever it is asked."""

    def __init__(self, python: str, table: Path, rows: int) -> None:
        self._process = subprocess.Popen(
            [python, "-c", CTGAN, str(table), str(rows)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )
        self._line()

    def measure(self) -> dict[str, float]:
        """Rows a CPU second of `ctgan sample` and `ctgan network`."""
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)
        return {f"ctgan {name}": float(rate) for name, rate in json.loads(self._line()).items()}

    def end(self) -> None:
        """Ends the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the CTGAN process ended; look above for its error and at --ctgan-python")
        return line


def main() -> None:
    """Runs the rounds and prints rates and ratios."""
    parser = program_parser(__doc__, "one round of few rows, and a fit of two seconds; the rates mean little")
    parser.add_argument("--model", type=Path, help="a .tsm file; default: fitted to Adult now")
    parser.add_argument("--ctgan-python", help="interpreter of an environment that has ctgan")
    parser.add_argument("--rows", type=int, default=76_800, help="rows of one measurement")
    arguments = parser.parse_args()
    rounds, rows = (1, SHORT_ROWS) if arguments.short else (ROUNDS, arguments.rows)
    os.environ.update(ONE_THREAD)

    from provenance.exact.model import decode_model, encode_model
    from provenance.exact.sampler import Sampler

    data = _model_bytes(arguments.model, SHORT_FIT_SECONDS if arguments.short else FIT_SECONDS)
    mlp = encode_model(_random_mlp(decode_model(data).codebook))
    samplers = {"autoregressive": Sampler(data, SEED, 0), "mlp": Sampler(mlp, SEED, 0)}
    ctgan = None
    if arguments.ctgan_python is not None:
        ctgan = CtganProcess(arguments.ctgan_python, ADULT / "adult_train.csv.gz", min(rows, 50_000))
    best: dict[str, float] = {}
    for _ in range(rounds):
        rates = {"words": _words_a_second(), "multiplications": _multiplications_a_second()}
        rates |= {name: _rows_a_second(sampler, rows) for name, sampler in samplers.items()}
        rates |= {} if ctgan is None else ctgan.measure()
        best |= {name: max(rate, best.get(name, 0.0)) for name, rate in rates.items()}
    if ctgan is not None:
        ctgan.end()
    _print(samplers, best)


def _print(samplers: dict[str, Sampler], best: dict[str, float]) -> None:
    from provenance.exact.philox import WORDS_PER_BLOCK
    from provenance.exact.sampler import words_per_row

    print(f"noise {best['words'] / 1e6:,.0f} M words/s; products {best['multiplications'] / 1e9:,.1f} G/s")
    for name, sampler in samplers.items():
        model = sampler.model
        words = -(-words_per_row(model) // WORDS_PER_BLOCK) * WORDS_PER_BLOCK
        limit = 1 / (words / best["words"] + model.multiplications / best["multiplications"])
        print(
            f"{name}: {best[name]:,.0f} rows/s, {best[name] * sampler.row_width / 1e6:.1f} MB/s of row bytes, "
            f"{model.multiplications:,} multiplications a row; {best[name] / limit:.0%} of the limit {limit:,.0f}"
        )
    for name in ("ctgan sample", "ctgan network"):
        if name in best:
            ratio = best["autoregressive"] / best[name]
            print(f"{name}: {best[name]:,.0f} rows/s; autoregressive is {ratio:.1f} times as fast")


def _seconds(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _rows_a_second(sampler: Sampler, rows: int) -> float:
    return rows / _seconds(lambda: sampler.values(0, rows))


def _words_a_second() -> float:
    from provenance.exact.philox import BlockStream

    stream = BlockStream((1, 2), 0)
    return 2_000_000 / _seconds(lambda: stream.take(500_000))


def _multiplications_a_second() -> float:
    import numpy as np

    from provenance.exact.products import TILE_ROWS, product

    weights = np.asfortranarray(np.ones((32, 64), dtype=np.float32))
    x, out = (np.ones((n, 8 * TILE_ROWS), dtype=np.float32) for n in (64, 32))
    repeats = 40

    def multiply() -> None:
        for _ in range(repeats):
            product(weights, x, out)

    return repeats * weights.size * x.shape[1] / _seconds(multiply)


def _model_bytes(path: Path | None, seconds: float) -> bytes:
    from provenance.exact.container import Container

    if path is not None:
        container = Container.parse(path.read_bytes())
    else:
        from generator.fitting.fit import fit_csv
        from generator.fitting.settings import FitSettings
        from provenance.table.schema import Schema

        print(f"fitting Adult for at most {seconds:.0f} s", file=sys.stderr)
        schema = Schema.load(ADULT / "adult.schema.json")
        container = fit_csv(ADULT / "adult_train.csv.gz", schema, FitSettings(seconds=seconds), None)
    return container.parts[0].model_bytes


def _random_mlp(codebook: Codebook) -> MlpModel:
    """Architecture 1 for the same columns; how fast it is depends on its widths only."""
    import numpy as np

    from provenance.exact.mlp_model import HiddenLayer, MlpModel, OutputLayer
    from provenance.values import Digest

    random = np.random.default_rng(1)

    def weights(out: int, inputs: int) -> NDArray[np.int8]:
        return random.integers(-128, 128, (out, inputs)).astype(np.int8)

    def zeros(length: int) -> NDArray[np.int32]:
        return np.zeros(length, dtype=np.int32)

    def shifts(length: int) -> NDArray[np.uint8]:
        return np.full(length, 8, dtype=np.uint8)

    hidden = tuple(
        HiddenLayer(weights(out, inputs), zeros(out), shifts(out))
        for inputs, out in itertools.pairwise(_MLP_WIDTHS)
    )
    codes = codebook.codes
    output = OutputLayer(weights(codes, _MLP_WIDTHS[-1]), shifts(codes), zeros(codes))
    return MlpModel(255, _MLP_WIDTHS[0], Digest(bytes(32)), codebook, hidden, output)


if __name__ == "__main__":
    main()
