"""Orders that wait for a person: `ask` in the policy puts them here, `approve` and `deny` answer.

One small file an order, so that the answering command and the running node need no connection.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from generator.errors import NodeError
from generator.node.policy import Proposal
from provenance.files import make_folder, write_whole
from provenance.units import MICRO, format_fixed
from provenance.values import Digest

ASKED, APPROVED, DENIED = "asked", "approved", "denied"


@dataclass(frozen=True, slots=True)
class Approval:
    """A question and its answer. summary: what the operator needs to know, as text lines."""

    order: Digest
    state: str
    asked_at: int
    summary: str


class Approvals:
    """The folder of questions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def state(self, order: Digest) -> str | None:
        """asked, approved or denied; None if nobody was asked."""
        path = self._path(order)
        return self._read(path).state if path.exists() else None

    def ask(self, order: Digest, proposal: Proposal) -> None:
        """Puts a question; a second time changes nothing."""
        if not self._path(order).exists():
            terms = proposal.terms
            epsilon = format_fixed(terms.epsilon_micro, MICRO) if terms.epsilon_micro else "none"
            epsilon += " (from stock: none of it anew)" if proposal.from_stock and terms.epsilon_micro else ""
            summary = (
                f"{terms.rows} rows of {proposal.collection_name} for {terms.buyer}, epsilon {epsilon}, "
                f"price {proposal.unit.shown(terms.price)}, purpose {proposal.purpose or 'not said'}"
            )
            self._write(Approval(order, ASKED, int(time.time()), summary))

    def decide(self, order: Digest, *, approve: bool) -> Approval:
        """The operator's answer; NodeError if nothing was asked."""
        path = self._path(order)
        if not path.exists():
            raise NodeError(f"order {order} waits for no answer; `status` lists those that do")
        asked = self._read(path)
        answer = Approval(order, APPROVED if approve else DENIED, asked.asked_at, asked.summary)
        self._write(answer)
        return answer

    def all(self) -> list[Approval]:
        """Every question, oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(map(self._read, self._folder.glob("*.json")), key=lambda approval: approval.asked_at)

    def find(self, prefix: str) -> Digest:
        """The order whose digest begins so, with or without 0x; NodeError unless there is exactly one."""
        wanted = prefix.lower().removeprefix("0x")
        orders = [
            approval.order for approval in self.all() if wanted and approval.order.hex().startswith(wanted)
        ]
        if len(orders) != 1:
            raise NodeError(
                f"{len(orders)} questions begin with {prefix!r}, expected one; `status` lists them"
            )
        return orders[0]

    def _path(self, order: Digest) -> Path:
        return self._folder / f"{order.hex()}.json"

    def _write(self, approval: Approval) -> None:
        make_folder(self._folder)
        document = {"state": approval.state, "askedAt": approval.asked_at, "summary": approval.summary}
        write_whole(self._path(approval.order), json.dumps(document).encode())

    def _read(self, path: Path) -> Approval:
        try:
            document = json.loads(path.read_bytes())
            order = Digest(bytes.fromhex(path.stem))
            return Approval(order, str(document["state"]), int(document["askedAt"]), str(document["summary"]))
        except (ValueError, KeyError, TypeError) as error:
            raise NodeError(f"{path} is damaged ({error}): remove it and the node will ask again") from error
