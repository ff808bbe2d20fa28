"""Verify a data set from chain and files alone; no backend is needed and none is trusted.

    tessera verify --dataset ID --rpc URL --store DIR [--key FILE]

Exit status: 0 every check that could be made passed, 1 a check failed, 2 nothing was decided (node or
store down, unknown data set, wrong arguments). What a certificate does not prove is printed with it.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from provenance.chain.deployment import Deployment
    from provenance.store.ports import ContentStore
    from provenance.verify.certificate import Certificate
    from provenance.verify.dataset import DatasetName

UNDECIDED = 2
DEPLOYMENT_FILE = "deployment.json"
IPFS_TIMEOUT_SECONDS = 60.0
PIPE_COLUMNS = 150


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns the exit status."""
    options = _parser().parse_args(arguments)
    from rich.console import Console

    from provenance.errors import ProvenanceError
    from provenance.verify.report import print_certificate

    # A pipe has no width of its own; the widest detail is a digest.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    terminal = Console(stderr=True, highlight=False)
    try:
        certificate = _verify(options, terminal)
    except ProvenanceError as error:
        # Nothing was learnt about the data: the question could not be asked.
        terminal.print(f"verify_provenance: {error}", markup=False, soft_wrap=True)
        return UNDECIDED
    except Exception:  # noqa: BLE001 - the process edge: 1 means "a check failed", and a bug decides nothing
        terminal.print_exception()
        return UNDECIDED
    if options.json:
        print(json.dumps(certificate.document(), indent=2, ensure_ascii=False))
    else:
        print_certificate(certificate, console)
    return certificate.exit_code


def _parser() -> argparse.ArgumentParser:
    description, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="verify_provenance",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--dataset",
        required=True,
        metavar="ID",
        help="a number, or eip155:<chain>/erc721:<registry>/<number>",
    )
    parser.add_argument("--rpc", required=True, metavar="URL", help="JSON-RPC of an Ethereum node you trust")
    parser.add_argument(
        "--store",
        required=True,
        metavar="DIR",
        help="content folder, or multiaddr of an IPFS node (/ip4/...)",
    )
    parser.add_argument(
        "--key",
        type=Path,
        metavar="FILE",
        help="delivery key of a private order; without it, the public part",
    )
    parser.add_argument(
        "--deployment",
        type=Path,
        metavar="FILE",
        help=f"where the contracts are (default: {DEPLOYMENT_FILE} in the content folder; "
        "not needed with an eip155: name)",
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads that recompute rows (default 1)"
    )
    parser.add_argument("--json", action="store_true", help="print the certificate as JSON")
    return parser


def _verify(options: argparse.Namespace, terminal: Console) -> Certificate:
    from provenance.chain.reader import ChainReader
    from provenance.crypto.seal import load_delivery_key
    from provenance.verify.dataset import DatasetName, verify_dataset
    from tessera.row_progress import recomputing

    if options.threads < 1:
        raise _usage(f"--threads {options.threads}: expected at least 1")
    name = DatasetName.parse(options.dataset)
    key = load_delivery_key(options.key) if options.key is not None else None
    store = open_store(options.store)
    with ChainReader(options.rpc, _deployment(options, name)) as ledger, recomputing(terminal) as progress:
        ledger.check()
        return verify_dataset(ledger, store, name.id, key, progress, threads=options.threads)


def open_store(text: str) -> ContentStore:
    """A content folder, or an IPFS node by its multiaddr. Raises MalformedError for neither."""
    if text.startswith(("/ip4/", "/ip6/", "/dns", "/unix/")) and not Path(text).exists():
        from provenance.store.ipfs import IpfsStore

        return IpfsStore(text, IPFS_TIMEOUT_SECONDS)
    from provenance.store.folder import FolderStore

    if not Path(text).is_dir():
        raise _usage(
            f"--store {text}: no such folder; name a content folder or the multiaddr of an IPFS node"
        )
    return FolderStore(text)


def _deployment(options: argparse.Namespace, name: DatasetName) -> Deployment:
    from provenance.chain.deployment import Deployment
    from provenance.chain.discover import discover_deployment

    beside = Path(options.store) / DEPLOYMENT_FILE
    if options.deployment is None and name.datasets is not None:
        deployment = discover_deployment(options.rpc, name.datasets)
    elif options.deployment is None and not beside.is_file():
        raise _usage(
            f"--dataset {name.id}: a bare number needs --deployment FILE or {beside}; "
            "or name the data set as eip155:<chain>/erc721:<registry>/<number>"
        )
    else:
        deployment = Deployment.load(options.deployment or beside)
    expected = (name.chain_id or deployment.chain_id, name.datasets or deployment.datasets)
    if (deployment.chain_id, deployment.datasets) != expected:
        raise _usage(f"--dataset {options.dataset} is not of the deployment at {deployment.datasets}")
    return deployment


def _usage(message: str) -> Exception:
    from provenance.errors import MalformedError

    return MalformedError(message)


if __name__ == "__main__":
    sys.exit(main())
