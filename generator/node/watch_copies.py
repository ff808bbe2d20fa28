"""Copies of a node's answers for a watchtower, which sends them when the node itself is away.

    FOLDER/deployment.json                    where the market is
    FOLDER/<order>/<shard>/<kind>-<digits>    one sealed answer (provenance.chain.sealed_answers); the digits are of
                                              what it hangs on: match, seed, or root of the data set

Only the tower's key opens them. A copy is written as soon as the answer exists, the salt not before the hash
of the seed's block is kept on chain. Until the node has evaluated the data set, the copy vouches for nothing:
a node that is away when it would be asked is not fined for it. The folder may be a mount, or be carried to
the tower by any tool that copies files.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from generator.errors import NotYet, SettingsError, StateError, TaskRefused
from generator.node.answers import OrderAnswers
from generator.node.outbox_log import OutboxLog
from generator.node.settings import NodeSettings
from provenance.chain.answers import Answer
from provenance.chain.deployment import Deployment
from provenance.chain.disputes import DemandKind
from provenance.chain.sealed_answers import seal_answer
from provenance.crypto.seal import require_usable
from provenance.errors import ProvenanceError
from provenance.files import make_folder, write_whole
from provenance.record.terms import participants_digest
from provenance.values import Digest

log = logging.getLogger(__name__)
DEPLOYMENT: Final = "deployment.json"
_NAME_DIGITS: Final = 16
_OF_MATCH: Final = (DemandKind.COMMITMENT, DemandKind.SALT)
_OF_SEED: Final = (DemandKind.RECEIPT, DemandKind.MODEL, DemandKind.CHUNK)
_NOT_ASKED: Final = Digest(bytes(32))
"""Stands for the data set's root in the name of an evaluation that vouches for nothing. A tower takes the newest copy
first."""


@dataclass
class WatchCopies:
    """Writes what the tower of one public key shall be able to answer."""

    folder: Path
    tower: Digest
    outbox: OutboxLog
    _written: set[Path] = field(default_factory=set)

    @classmethod
    def of(cls, settings: NodeSettings, deployment: Deployment, outbox: OutboxLog) -> WatchCopies | None:
        """As the settings say; None without a tower. Raises SettingsError for a key or folder that cannot be used."""
        if not settings.watchtower_key and not settings.watchtower_folder:
            return None
        if not settings.watchtower_key or not settings.watchtower_folder:
            raise SettingsError("a watchtower needs both watchtower_key and watchtower_folder in node.toml")
        folder = Path(settings.watchtower_folder).expanduser()
        try:
            tower = Digest.parse(settings.watchtower_key)
            require_usable(tower)
            make_folder(folder)
            deployment.save(folder / DEPLOYMENT)
        except ProvenanceError as error:
            raise SettingsError(f"watchtower_key: {error}; `tessera key new` prints it") from error
        except OSError as error:
            raise SettingsError(f"watchtower_folder {folder}: {error.strerror}") from error
        return cls(folder, tower, outbox)

    def hand_over(self, answers: OrderAnswers) -> int:
        """Writes what exists of an order and is not there yet; returns the files written. A folder that cannot be
        written to is said, and tried again."""
        written = 0
        try:
            for kind, stage in self._stages(answers):
                path = self._folder_of(answers) / f"{kind.name.lower()}-{stage.hex()[:_NAME_DIGITS]}"
                if path in self._written or path.exists():
                    continue
                answer = answers.no_evaluation() if stage == _NOT_ASKED else _existing(answers, kind)
                if answer is None:
                    continue
                sealed = seal_answer(answer, answers.order, answers.shard, self.tower)
                self.outbox.add(f"{kind.name.lower()} copied", "watchtower", sealed, str(answers.order))
                make_folder(path.parent)
                write_whole(path, sealed)
                self._written.add(path)
                written += 1
        except OSError as error:
            log.error("copies for the watchtower cannot be written to %s: %s", self.folder, error.strerror)
        return written

    def forget(self, order: Digest) -> None:
        """Removes the copies of an order that ended."""
        shutil.rmtree(self.folder / order.hex(), ignore_errors=True)

    def _folder_of(self, answers: OrderAnswers) -> Path:
        return self.folder / answers.order.hex() / str(answers.shard)

    def _stages(self, answers: OrderAnswers) -> list[tuple[DemandKind, Digest]]:
        """Kinds that can exist by now, each with what its answer hangs on: after a reorganisation, or when somebody is
        dropped, it is another."""
        match = participants_digest(answers.participants)
        found = [(kind, match) for kind in _OF_MATCH]
        seed = answers.node.chain.commitment(answers.order).seed
        folder = answers.node.orders.folder(answers.order)
        if seed is not None and folder.receipt() is not None:
            found += [(DemandKind.EVALUATION, _NOT_ASKED), *((kind, seed) for kind in _OF_SEED)]
            evaluated = folder.evaluation()
            if evaluated is not None:
                found.append((DemandKind.EVALUATION, evaluated[0].dataset_root))
        return found


def _existing(answers: OrderAnswers, kind: DemandKind) -> Answer | None:
    """None for what is still to come. Nothing is made up for the tower: an evaluation is one that was asked for."""
    if kind is DemandKind.EVALUATION:
        return answers.evaluation()
    try:
        return answers.of(kind)
    except (NotYet, StateError, TaskRefused):
        return None
