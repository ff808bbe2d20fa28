"""Wrapped keys of recorded data sets: the broker asks every contributor for its own, and puts it where all can read it.

The content document names each key's file, so nobody has to trust whoever serves it, and only the buyer's delivery key
opens it. No other step of an order waits for keys: whoever withholds one can be asked for its model on chain.
"""

from __future__ import annotations

from collections.abc import Sequence

from backend.errors import InvalidRequestError
from backend.ports import Ports
from backend.tasks.repository import TaskRepository
from backend.tasks.service import TaskService
from provenance.api.tasks import RELEASE, ReleaseTask
from provenance.crypto.seal import WRAPPED_KEY_BYTES
from provenance.record.manifest import ManifestShard
from provenance.store.unixfs import cid_of
from provenance.values import Digest


def ask_for_keys(ports: Ports, order: Digest, shards: Sequence[ManifestShard]) -> None:
    """Gives every contributor whose key lies in a file of its own the task to release it, one that delivered nothing
    left out. Again does nothing."""
    with ports.database.write() as session:
        tasks = TaskService(session)
        for each in shards:
            cid = each.content.wrapped_key_cid if each.is_delivered else None
            if cid is not None:
                payload = ReleaseTask(order=order, wrapped_key_cid=cid).encode()
                node, now = str(each.contributor), int(ports.clock())
                tasks.create(str(order), node, RELEASE, RELEASE, payload, now)


def keep_released_key(ports: Ports, task_id: int, node: str, result: bytes) -> None:
    """Puts a released key into the store, before the task counts as done: a task that is done has its key there.

    Does nothing for other tasks. Raises InvalidRequestError for bytes that the content document does not name, and for
    those that cannot be a wrapped key.
    """
    with ports.database.read() as session:
        payload = TaskRepository(session).release_asked(task_id, node)
    if payload is None:
        return
    named = ReleaseTask.read(payload, "release task").wrapped_key_cid
    found = cid_of(result)
    if found != named or len(result) != WRAPPED_KEY_BYTES:
        words = f"found {len(result)} bytes with CID {found}, expected {WRAPPED_KEY_BYTES}, the wrapped key {named}"
        raise InvalidRequestError(words, (("body", words),))
    ports.store.put(result)
