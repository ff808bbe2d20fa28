"""How good our generators are beside others', and what each part of ours adds.

    python -m benchmarks.run_quality --short            # a minute: that everything runs
    python -m benchmarks.run_quality --make-peers ~/tessera-peers
    python -m benchmarks.run_quality --long --peers ~/tessera-peers
    python -m benchmarks.run_quality --long --only ours --fresh     # the main lines; also: parts, more
    python -m benchmarks.run_quality --write            # docs/benchmarks.md again from the results

Every fit runs in a process of its own on one thread; peers in environments of their own. Each finished case is a
line of the results file, and what stands there is not run again (--fresh: it is). The page and its plots are a
pure function of that file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks import program_parser
from benchmarks.quality.case import Case
from benchmarks.quality.cases import (
    OUR_KINDS,
    control_cases,
    our_cases,
    peer_cases,
    short_cases,
    validation_cases,
)
from benchmarks.quality.peer_fit import PeerFits, make_peers
from benchmarks.quality.results import Result, read
from benchmarks.quality.runner import Runner
from benchmarks.quality.tables import TABLES
from tessera.devnet.children import stop_on_signals
from tessera.errors import UsageError
from tessera.terminal import err, exit_status, remark, say

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "benchmarks" / "results.jsonl"
RUN = ROOT / "run" / "benchmark"
KINDS = ("controls", *OUR_KINDS, "validation", "peers")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 2 for a command line that cannot be used; a fit that fails is a result."""
    parser = program_parser(__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--short", action="store_true", help="small fits on a small table, not written to the page"
    )
    what.add_argument("--long", action="store_true", help="everything, then the page")
    what.add_argument("--write", action="store_true", help="the page alone")
    what.add_argument("--make-peers", type=Path, metavar="FOLDER", help="create the peers' environments")
    parser.add_argument("--only", action="append", choices=KINDS, help="default: all")
    parser.add_argument("--table", action="append", choices=sorted(TABLES), help="default: all")
    parser.add_argument("--subject", action="append", help="one generator by its name in the tables")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peers", type=Path, metavar="FOLDER", help="what --make-peers made")
    parser.add_argument(
        "--limit", type=float, default=1800.0, help="CPU-s after which a peer's fit is given up"
    )
    parser.add_argument("--fresh", action="store_true", help="run again what the results hold already")
    parser.add_argument("--results", type=Path, help=f"default: {RESULTS.relative_to(ROOT)}")
    parser.add_argument("--work", type=Path, default=RUN, help="where models and rows go")
    parser.add_argument("--page", type=Path, default=PAGE)

    def run() -> None:
        with stop_on_signals():  # a fit must not outlive its benchmark
            _run(parser.parse_args(arguments))

    return exit_status(run)


def _run(chosen: argparse.Namespace) -> None:
    if chosen.make_peers is not None:
        make_peers(chosen.make_peers.expanduser().absolute(), say)
        return
    path = chosen.results or (chosen.work / "short.jsonl" if chosen.short else RESULTS)
    if not chosen.write:
        peers = None
        if chosen.peers is not None:
            if not chosen.peers.is_dir():
                raise UsageError(f"{chosen.peers} is no folder; make it with --make-peers {chosen.peers}")
            peers = PeerFits(chosen.peers.expanduser().absolute(), chosen.limit)
        runner = Runner(path.absolute(), chosen.work.absolute(), peers, chosen.fresh)
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            console=err, disable=not err.is_terminal,
        ) as bar:  # fmt: skip
            for kind in _stages(chosen):
                known = read(path)
                cases = _cases(kind, chosen, known)
                _run_cases(runner, [c for c in cases if chosen.fresh or c.key not in known], bar)
    if not chosen.short:
        from benchmarks.quality.page import write_page

        write_page(list(read(path).values()), chosen.page)
        say(f"{chosen.page} and {chosen.page.with_suffix('')}")


def _stages(chosen: argparse.Namespace) -> list[str]:
    """The kinds of cases to run, in order: later ones depend on the results of earlier ones."""
    if chosen.short:
        return ["short"]
    asked = chosen.only or (KINDS if chosen.peers is not None else ("controls", *OUR_KINDS))
    if chosen.peers is None and {"validation", "peers"} & set(asked):
        raise UsageError("peers need --peers FOLDER, the folder that --make-peers filled")
    return [kind for kind in KINDS if kind in asked]


def _cases(kind: str, chosen: argparse.Namespace, results: dict[str, Result]) -> list[Case]:
    """Seed by seed, so that an interrupted run has all of the first."""
    if kind == "short":
        return short_cases()
    tables = [name for name in TABLES if name in (chosen.table or TABLES)]
    if kind == "validation":
        return [case for table in tables for case in validation_cases(table)]
    listed: list[Case] = []
    for seed in range(chosen.seeds):
        for table in tables:
            if kind == "peers":
                listed += peer_cases(table, [seed], results)
            elif kind == "controls":
                listed += control_cases(table, [seed])
            else:
                listed += our_cases(kind, table, [seed])
    return [case for case in listed if not chosen.subject or case.subject in chosen.subject]


def _run_cases(runner: Runner, cases: Sequence[Case], bar: Progress) -> None:
    """Run those that the results do not hold; a bar on a terminal, a line a case elsewhere."""
    task = bar.add_task("", total=len(cases))
    for number, case in enumerate(cases, start=1):
        budget = "no epsilon" if case.epsilon is None else f"epsilon {case.epsilon:g}"
        name = f"{case.table}, {case.subject}, {case.setup}, {budget}, seed {case.seed}"
        bar.update(task, description=name)
        result = runner.run(case)
        bar.advance(task)
        figures = result.figures
        outcome = (
            f"failed: {result.failure}"
            if figures is None
            else f"AUC {figures.auc:.4f} TVD2 {figures.tvd2:.4f}"
        )
        cpu = "" if result.report is None else f" {result.report.fit_cpu_seconds:.1f} CPU-s"
        remark(f"{number}/{len(cases)} {name}: {outcome}{cpu}")


if __name__ == "__main__":
    sys.exit(main())
