"""Where the rows of `tessera sample` come from, and who makes the parts of a long table: this
process, or several.

Each worker decodes the model once and stores whole parts itself; only part numbers travel. Workers end when
their parent does, however it ends.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from provenance.canonical import decode
from provenance.exact.container import Container
from provenance.exact.container_sampler import ContainerSampler
from provenance.table.conditions import Conditions
from tessera.errors import UsageError
from tessera.extras import needing
from tessera.local.row_parts import PartFolder

_AHEAD = 2
"""Parts that are asked for per worker: one in the making, one waiting."""


@dataclass(frozen=True, slots=True)
class RowSource:
    """Container, seed and conditions (a document, None for none) decide the rows; batch_rows, threads and
    device the speed only. device: None for numpy, else torch's name of one."""

    container: bytes
    seed: bytes
    batch_rows: int
    threads: int
    device: str | None = None
    conditions: bytes | None = None

    def sampler(self) -> ContainerSampler:
        """Decodes the models. Raises UsageError if there is no such device, ConditionError if no row can
        meet the conditions."""
        container = Container.parse(self.container)
        asked = None
        if self.conditions is not None:
            asked = Conditions.parse(decode(self.conditions), container.schema)
        if self.device is None:
            return ContainerSampler(container, self.seed, conditions=asked)
        with needing("generator", f"device={self.device}"):
            from generator.sampling import forward_on

        return ContainerSampler(container, self.seed, conditions=asked, forward=forward_on(self.device))


class PartMaker:
    """Makes and stores parts in this process."""

    def __init__(self, source: RowSource, folder: PartFolder) -> None:
        self._sampler = source.sampler()
        self._source = source
        self._folder = folder

    def make(self, part: int) -> None:
        """Makes and stores one part."""
        first_row, rows = self._folder.plan.range_of(part)
        data = self._sampler.row_bytes(first_row, rows, self._source.batch_rows, threads=self._source.threads)
        self._folder.store(part, data)


def make_parts(source: RowSource, folder: PartFolder, processes: int) -> Iterator[int]:
    """Makes what is missing; yields every part's number in order, once it is finished."""
    missing = set(folder.missing())
    if processes == 1:
        maker = PartMaker(source, folder) if missing else None
        for part in range(folder.plan.parts):
            if maker is not None and part in missing:
                maker.make(part)
            yield part
        return
    yield from _by_workers(source, folder, min(processes, max(1, len(missing))), missing)


def _by_workers(source: RowSource, folder: PartFolder, processes: int, missing: set[int]) -> Iterator[int]:
    waiting = deque(sorted(missing))
    under_way: dict[int, Future[None]] = {}
    # spawned, not forked: numpy's and torch's threads do not survive a fork
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, _start_worker, (source, folder)) as pool:
        try:
            for part in range(folder.plan.parts):
                while waiting and len(under_way) < _AHEAD * processes:
                    asked = waiting.popleft()
                    under_way[asked] = pool.submit(_make, asked)
                if part in under_way:
                    under_way.pop(part).result()
                yield part
        except BrokenProcessPool as error:
            raise UsageError(
                f"a worker process ended (out of memory?) and {folder.path} keeps what is finished: give the "
                "same command to go on, with fewer processes= if memory is short"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


_maker: PartMaker | None = None


def _start_worker(source: RowSource, folder: PartFolder) -> None:
    global _maker
    # an interrupt at the terminal reaches every process; the parent decides, and workers end with it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _maker = PartMaker(source, folder)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "only workers come here"
    parent.join()
    os._exit(1)


def _make(part: int) -> None:
    assert _maker is not None, "the worker was started with its maker"
    _maker.make(part)
