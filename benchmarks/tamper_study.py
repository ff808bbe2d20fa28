"""Does verification notice every flipped byte? Flips bytes of a published data set's files, one at a time.

    python -m benchmarks.tamper_study --dataset ID --rpc URL --store DIR --key FILE --short     # 20 flips
    python -m benchmarks.tamper_study --dataset ID --rpc URL --store DIR --key FILE --offsets 500
    python -m benchmarks.tamper_study ... --every        # each byte of every file: for small data sets

The store is copied and only the copy is touched. Each flip must make the whole verification fail and name a check.
Files are those the data set's manifest names: manifest, rows and model of every shard, score file. Offsets are drawn
evenly over all their bytes. Exit status 1 if one flip went unnoticed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.progress import track
from rich.table import Table

from benchmarks import program_parser
from provenance.chain.deployment import Deployment
from provenance.chain.reader import ChainReader
from provenance.crypto.seal import DeliveryKey, load_delivery_key
from provenance.record.manifest import Manifest
from provenance.store.folder import FolderStore
from provenance.store.unixfs import cid_of_digest
from provenance.values import Cid
from provenance.verify.dataset import verify_dataset
from tessera.errors import TesseraError
from tessera.terminal import err, exit_status, out

Flip = tuple[str, Cid, int]
SHORT_FLIPS = 20


def files_of(chain: ChainReader, store: FolderStore, dataset: int) -> dict[str, Cid]:
    """What each content of the data set is, and where."""
    manifest_cid = cid_of_digest(chain.dataset(dataset).manifest_digest)
    manifest = Manifest.parse(store.get(manifest_cid))
    files = {"manifest": manifest_cid, "score": manifest.score.file.cid}
    for shard in manifest.shards:
        files[f"rows of shard {shard.shard}"] = shard.content.rows.cid
        files[f"model of shard {shard.shard}"] = shard.content.model.cid
    return files


def flips(sizes: dict[str, tuple[Cid, int]], offsets: int | None, seed: int) -> list[Flip]:
    """Every byte when `offsets` is None, else so many places drawn over all bytes."""
    places = [(name, cid, i) for name, (cid, size) in sizes.items() for i in range(size)]
    return places if offsets is None else random.Random(seed).sample(places, min(offsets, len(places)))


def study(
    chain: ChainReader,
    store: FolderStore,
    copy: FolderStore,
    dataset: int,
    key: DeliveryKey | None,
    places: Iterable[Flip],
) -> Iterator[tuple[str, str | None]]:
    """For each flip the content's name and the first failed check, None if it went unnoticed."""
    for name, cid, offset in places:
        true = store.get(cid)
        (file,) = copy.path.rglob(str(cid))
        file.write_bytes(true[:offset] + bytes([true[offset] ^ 1]) + true[offset + 1 :])
        failed = [c for c in verify_dataset(chain, copy, dataset, key).checks if c.status == "failed"]
        file.write_bytes(true)
        yield name, f"{failed[0].number} {failed[0].name}" if failed else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 when every flip was noticed, 1 when one was not, 2 when the study could not be made."""
    parser = program_parser(__doc__, f"{SHORT_FLIPS} flips")
    parser.add_argument("--dataset", type=int, required=True, help="number of the data set")
    parser.add_argument("--rpc", required=True, metavar="URL")
    parser.add_argument("--store", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--deployment", type=Path, metavar="FILE", help="default: deployment.json in the store"
    )
    parser.add_argument("--key", type=Path, metavar="FILE", help="delivery key of a private order")
    parser.add_argument("--offsets", type=int, default=500, help="how many flips (default 500)")
    parser.add_argument("--every", action="store_true", help="flip each byte instead")
    parser.add_argument("--seed", type=int, default=0, help="of the offsets")
    return exit_status(lambda: _run(parser.parse_args(arguments)))


def _run(chosen: argparse.Namespace) -> None:
    deployment = Deployment.load(chosen.deployment or chosen.store / "deployment.json")
    key = load_delivery_key(chosen.key) if chosen.key else None
    store = FolderStore(chosen.store)
    with ChainReader(chosen.rpc, deployment) as chain, tempfile.TemporaryDirectory() as folder:
        before = verify_dataset(chain, store, chosen.dataset, key)
        if before.exit_code:
            raise TesseraError(f"data set {chosen.dataset} fails before any flip; run `tessera verify` first")
        files = files_of(chain, store, chosen.dataset)
        sizes = {name: (cid, store.size(cid)) for name, cid in files.items()}
        copy = FolderStore(Path(folder))
        for cid in files.values():
            copy.put(store.get(cid))
        offsets = SHORT_FLIPS if chosen.short else None if chosen.every else chosen.offsets
        places = flips(sizes, offsets, chosen.seed)
        watched = track(places, description="flipping", console=err, transient=True)
        results = list(study(chain, store, copy, chosen.dataset, key, watched))
    out.print(_table(sizes, results))
    unnoticed = sum(check is None for _, check in results)
    if unnoticed:
        raise TesseraError(f"{unnoticed} of {len(results)} flips went unnoticed; expected none")


def _table(sizes: dict[str, tuple[Cid, int]], results: list[tuple[str, str | None]]) -> Table:
    table = Table(title=f"{len(results)} flips", title_justify="left")
    for name in ("content", "bytes", "flips", "noticed", "by check"):
        table.add_column(name, justify="left" if name in ("content", "by check") else "right")
    for name, (_, size) in sizes.items():
        own = [check for where, check in results if where == name]
        checks = Counter(check for check in own if check)
        named = ", ".join(f"{check} ({count})" for check, count in checks.items())
        table.add_row(name, f"{size:,}", f"{len(own):,}", f"{sum(checks.values()):,}", named)
    return table


if __name__ == "__main__":
    sys.exit(main())
