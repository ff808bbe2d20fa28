"""`tessera.verify`: a data set checked from chain and files alone; no backend is needed and none is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from provenance.verify.dataset import DatasetName
from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.chain.deployment import Deployment
    from provenance.crypto.seal import DeliveryKey
    from provenance.store.ports import ContentStore
    from provenance.verify.certificate import Certificate
    from provenance.verify.dataset import Progress

DEPLOYMENT_FILE = "deployment.json"
IPFS_TIMEOUT_SECONDS = 60.0


def verify(
    dataset: str | int,
    *,
    rpc: str,
    store: Path | str,
    key: Path | str | DeliveryKey | None = None,
    deployment: Path | str | None = None,
    threads: int = 1,
    progress: Progress | None = None,
) -> Certificate:
    """Every check that can be made with what is given, each ending in passed, failed or not checked.

    dataset: a number, or eip155:<chain>/erc721:<registry>/<number>. rpc: JSON-RPC of an Ethereum node that
    you trust. store: a content folder, or the multiaddr of an IPFS node (/ip4/...). key: the delivery key of
    a private order, or its file; without it the public part is checked, and `Certificate.unchecked` names the
    rest. deployment: where the contracts are, for a bare number; None for deployment.json in the content
    folder. threads: that recompute rows. progress: called with (rows recomputed, rows in all).

    Tampered bytes never raise, they fail a check. Raises UsageError for arguments that cannot be used, and
    UnavailableError or ChainError when node or store do not answer: nothing was learnt about the data then.
    """
    from provenance.chain.reader import ChainReader
    from provenance.crypto.seal import load_delivery_key
    from provenance.verify.dataset import verify_dataset

    if threads < 1:
        raise UsageError(f"threads: found {threads}, expected at least 1")
    name = DatasetName.parse(str(dataset))
    delivery_key = load_delivery_key(Path(key)) if isinstance(key, str | Path) else key
    content = open_store(str(store))
    contracts = _deployment(name, rpc, Path(store), None if deployment is None else Path(deployment))
    with ChainReader(rpc, contracts) as chain:
        chain.check()
        return verify_dataset(chain, content, name.id, delivery_key, progress, threads=threads)


def open_store(text: str) -> ContentStore:
    """A content folder, or an IPFS node by its multiaddr. Raises UsageError for neither."""
    if text.startswith(("/ip4/", "/ip6/", "/dns", "/unix/")) and not Path(text).exists():
        from provenance.store.ipfs import IpfsStore

        return IpfsStore(text, IPFS_TIMEOUT_SECONDS)
    from provenance.store.folder import FolderStore

    if not Path(text).is_dir():
        raise UsageError(
            f"store={text}: no such folder; name a content folder or the multiaddr of an IPFS node"
        )
    return FolderStore(text)


def _deployment(name: DatasetName, rpc: str, store: Path, given: Path | None) -> Deployment:
    """The contracts around the data set: by its own name, by the file given, or by the file
    beside the content."""
    from provenance.chain.deployment import Deployment
    from provenance.chain.discover import discover_deployment

    beside = store / DEPLOYMENT_FILE
    if given is None and name.datasets is not None:
        found = discover_deployment(rpc, name.datasets)
    elif given is None and not beside.is_file():
        raise UsageError(
            f"dataset={name.id}: a bare number needs a deployment file (deployment=, or {beside}); "
            "or name the data set as eip155:<chain>/erc721:<registry>/<number>"
        )
    else:
        found = Deployment.load(given or beside)
    require_market(name, found)
    return found


def require_market(name: DatasetName, deployment: Deployment) -> None:
    """Raises UsageError for a data set that is named as another market's."""
    asked = (name.chain_id or deployment.chain_id, name.datasets or deployment.datasets)
    if asked != (deployment.chain_id, deployment.datasets):
        raise UsageError(
            f"dataset=eip155:{name.chain_id}/erc721:{name.datasets}/{name.id} is not of the market whose data sets "
            f"are recorded at {deployment.datasets} on chain {deployment.chain_id}"
        )
