"""What a node keeps of each order beside its training state: the accepted terms, its answers, its content key.

    orders/<order>/accepted.json    terms, documents and acceptance as signed
    orders/<order>/accepted-at      chain time of the acceptance
    orders/<order>/content.key *    random key of this node's shard, made before its first use
    orders/<order>/wrapped/<shard> *  that key wrapped for the buyer, released when the record is on chain
    orders/<order>/training         there while a training step is under way
    orders/<order>/untrained.tsm *  the model that was committed to where none was trained (generator.node.untrained)
    orders/<order>/salts/<match> *  random salt of the seed, made before it is committed to
    orders/<order>/receipt.json     the receipt signed for this node's shard under the seed that the chain has
    orders/<order>/evaluation.json  the evaluation signed for the pooled data set under that seed
    orders/<order>/files/NAME *     what the receipt names, as it is published, until the order ends
    orders/<order>/answers/NAME *   digest of the task, then the answer: stored before it is sent, sent as it is
    orders/<order>/retired          there once the models of the order are not sold again (generator.node.stock)
    orders/<order>/shard-sent       there once the market has the answer to "sample"
    orders/<order>/answers/NAME.before-N   an answer for a seed that a reorganisation of the chain took back
    orders/sealed *                 says that all with a star are sealed, under the node's key (crypto.at_rest)

Files of earlier releases, which were not sealed, are sealed when the node's folder is opened (`Orders.seal_all`).
Training steps keep their results in the training state (`generator.federation.state`) in the same manner.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.errors import NodeError, StateError, TaskRefused
from generator.federation.private_files import PrivateFiles
from provenance import canonical
from provenance.api.tasks import SampleResult
from provenance.canonical import JsonValue
from provenance.crypto.at_rest import RestKey
from provenance.crypto.seal import new_content_key
from provenance.document import Reader
from provenance.errors import ProvenanceError
from provenance.files import make_folder, publish, sweep, write_whole
from provenance.record.collection import Request
from provenance.record.receipts import Evaluation
from provenance.record.terms import OrderTerms
from provenance.values import Digest, Signature, sha256

FORMAT = "tessera-accepted/1"
_EVALUATION_MEMBERS = ("datasetRoot", "scoreMicro", "sharesDigest", "scoreDigest", "signature")
_MEMBERS = ("format", "terms", "termsSignature", "request", "maxRows", "acceptance")
_PRIVATE = ("content.key", "wrapped/*", "untrained.tsm", "salts/*", "files/[a-z]*", "answers/*")
_DRAWING = threading.Lock()
"""A task and a demand on chain may need the same salt at the same moment; there is to be one."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An order that this node has put its name to."""

    terms: OrderTerms
    terms_signature: Signature
    request: Request
    max_rows: int
    acceptance: Signature

    def document(self) -> dict[str, JsonValue]:
        """The canonical document; `parse` reads it back."""
        return {
            "format": FORMAT,
            "terms": dict(self.terms.document()),
            "termsSignature": str(self.terms_signature),
            "request": self.request.document(),
            "maxRows": self.max_rows,
            "acceptance": str(self.acceptance),
        }

    @classmethod
    def parse(cls, document: object, where: str) -> Accepted:
        """Reads a document; a ProvenanceError names the member of `where` that is wrong."""
        reader = Reader(document, where, _MEMBERS)
        reader.constant("format", FORMAT)
        return cls(
            OrderTerms.read(reader.member("terms")),
            reader.signature("termsSignature"),
            Request.parse(reader.member("request"), f"{where}.request"),
            reader.integer("maxRows", 1),
            reader.signature("acceptance"),
        )


class OrderFolder:
    """One order's folder; made at first use."""

    def __init__(self, private: PrivateFiles, order: Digest) -> None:
        self.order = order
        self._private = private
        self._folder = private.folder / order.hex()

    def accepted(self) -> Accepted | None:
        """The order as this node accepted it; None if it did not."""
        path = self._folder / "accepted.json"
        if not path.exists():
            return None
        try:
            return Accepted.parse(canonical.decode(path.read_bytes()), path.name)
        except ProvenanceError as error:
            raise StateError(f"{path} is damaged: {error}; restore it from a copy") from error

    def accept(self, accepted: Accepted, at: int) -> None:
        """Stores the acceptance, given at chain time `at`: only what is stored may be sent."""
        self._write("accepted-at", b"%d\n" % at)
        self._write("accepted.json", canonical.encode(accepted.document()))

    def accepted_at(self) -> int:
        """Chain time of the acceptance; 0 where an earlier release accepted, which did not note it."""
        path = self._folder / "accepted-at"
        try:
            return int(path.read_bytes()) if path.exists() else 0
        except ValueError as error:
            raise StateError(f"{path} is damaged: {error}; write the chain time of the acceptance") from error

    def answer(self, name: str, task: bytes) -> bytes | None:
        """The stored answer to this very task, None if there is none; refuses a changed task of that name."""
        path = self._answer(name)
        if not path.exists():
            return None
        data = self._private.read(path)
        if data[:32] != sha256(task):
            raise TaskRefused(
                "task-changed", f"{name} was answered for other bytes; each task is answered once"
            )
        return data[32:]

    def stored(self, name: str) -> bytes | None:
        """What was answered under a name, whatever the task; None if nothing was."""
        path = self._answer(name)
        return self._private.read(path)[32:] if path.exists() else None

    def store_answer(self, name: str, task: bytes, answer: bytes) -> bytes:
        """Stores an answer, then returns it: only what this returns may be sent."""
        self._seal(f"answers/{self._answer(name).name}", sha256(task) + answer)
        return answer

    def set_aside(self, name: str) -> None:
        """The answer given under a name counts no longer: the chain took back what it was for."""
        path = self._answer(name)
        if path.exists():
            publish(path, path.with_name(f"{path.name}.before-{self.set_asides(name) + 1}"))

    def set_asides(self, name: str) -> int:
        """How many answers given under a name count no longer."""
        return len(list((self._folder / "answers").glob(f"{name}.before-*")))

    def given(self, name: str) -> int:
        """How many answers were given under a name, or under one that goes on from it, set aside or not."""
        answers = self._folder / "answers"
        return len(
            [path for path in answers.glob(f"{name}*") if path.name.split(".")[0].split("-")[0] == name]
        )

    def receipt(self) -> SampleResult | None:
        """The signed receipt as it was stored: a shard has one under a seed, whoever asks for it."""
        path = self._folder / "receipt.json"
        if not path.exists():
            return None
        try:
            return SampleResult.read(path.read_bytes(), path.name)
        except ProvenanceError as error:
            raise StateError(f"{path} is damaged: {error}; restore it from a copy") from error

    def store_receipt(self, signed: SampleResult, files: Mapping[str, bytes]) -> None:
        """Stores a receipt and, before it, the files that it names as they will be published."""
        for name, data in files.items():
            self._seal(f"files/{name}", data)
        self._write("receipt.json", signed.encode())

    def untrained(self) -> bytes | None:
        """The untrained model that this node stands by; None for an order that it trains, or has trained."""
        path = self._folder / "untrained.tsm"
        return self._private.read(path) if path.exists() else None

    def store_untrained(self, model: bytes) -> None:
        """Stores it before anything commits to it."""
        self._seal("untrained.tsm", model)

    def is_training(self) -> bool:
        """Whether a training step was begun that was neither answered nor refused."""
        return (self._folder / "training").exists()

    def note_training(self, is_training: bool) -> None:
        """A step begins, or has ended."""
        if is_training:
            self._write("training", b"")
        else:
            (self._folder / "training").unlink(missing_ok=True)

    def is_retired(self) -> bool:
        """Whether the models of this order are not sold again."""
        return (self._folder / "retired").exists()

    def retire(self) -> None:
        """For good: orders that are accepted already are served to their end."""
        self._write("retired", b"")

    def is_shard_sent(self) -> bool:
        """Whether the market took this node's shard under the seed of now."""
        return (self._folder / "shard-sent").exists()

    def note_shard_sent(self, is_sent: bool) -> None:
        """The market took it, or the chain took back its seed."""
        if is_sent:
            self._write("shard-sent", b"")
        else:
            (self._folder / "shard-sent").unlink(missing_ok=True)

    def evaluation(self) -> tuple[Evaluation, Signature] | None:
        """What this node signed of the pooled data set; None while it signed nothing under the seed of now."""
        path = self._folder / "evaluation.json"
        if not path.exists():
            return None
        try:
            reader = Reader(canonical.decode(path.read_bytes()), path.name, _EVALUATION_MEMBERS)
            message = Evaluation(
                self.order,
                reader.digest("datasetRoot"),
                reader.integer("scoreMicro"),
                reader.digest("sharesDigest"),
                reader.digest("scoreDigest"),
            )
            return message, reader.signature("signature")
        except ProvenanceError as error:
            raise StateError(f"{path} is damaged: {error}; restore it from a copy") from error

    def store_evaluation(self, evaluation: Evaluation, signature: Signature) -> None:
        """Stores an evaluation before anybody gets it."""
        document: dict[str, JsonValue] = {
            "datasetRoot": str(evaluation.dataset_root),
            "scoreMicro": evaluation.score_micro,
            "sharesDigest": str(evaluation.shares_digest),
            "scoreDigest": str(evaluation.score_digest),
            "signature": str(signature),
        }
        self._write("evaluation.json", canonical.encode(document))

    def drop_evaluation(self) -> None:
        """The chain took back the seed of the rows that were evaluated."""
        (self._folder / "evaluation.json").unlink(missing_ok=True)

    def files(self) -> dict[str, bytes]:
        """The receipt's files as they are published, by name; none once the order ended."""
        return {
            path.name: self._private.read(path) for path in sorted((self._folder / "files").glob("[a-z]*"))
        }

    def drop_files(self) -> None:
        """Once the order ended: nobody takes them any more."""
        for path in (self._folder / "files").glob("*"):
            path.unlink()

    def content_key(self) -> bytes:
        """The shard's content key; drawn once and on disk before anything is sealed with it."""
        path = self._folder / "content.key"
        if not path.exists():
            self._draw(path, _as_text(new_content_key()))
        return self._secret(path)

    def wrapped_key(self, shard: int, wrap: Callable[[], bytes]) -> bytes:
        """The content key as it is wrapped for the buyer, once and for good: receipts name its digest."""
        path = self._folder / "wrapped" / str(shard)
        if not path.exists():
            self._draw(path, wrap())
        return self._private.read(path)

    def key_to_release(self, shard: int) -> bytes | None:
        """The wrapped key that receipts of the shard name; None when it was lost or damaged."""
        try:
            return self._private.read(self._folder / "wrapped" / str(shard))
        except (FileNotFoundError, StateError):
            return None

    def salt(self, match: Digest) -> Digest:
        """This node's salt of the seed in a match of the order: random, on disk before anything commits to it, told
        once the hash of the seed's block is kept on chain. match: the digest of its participants."""
        path = self._folder / "salts" / match.hex()
        with _DRAWING:
            if not path.exists():
                self._draw(path, _as_text(secrets.token_bytes(32)))
        return self._secret(path)

    def _answer(self, name: str) -> Path:
        # "evaluate/0001" is no folder: "evaluate" is a file.
        return self._folder / "answers" / name.replace("/", "-")

    def _draw(self, path: Path, secret: bytes) -> None:
        """Without a sweep: another thread may be writing in the folder."""
        make_folder(path.parent)
        self._private.write(path, secret)

    def _secret(self, path: Path) -> Digest:
        return Digest.parse(self._private.read(path).decode("ascii").strip())

    def _write(self, name: str, data: bytes) -> None:
        write_whole(self._place(name), data)

    def _seal(self, name: str, data: bytes) -> None:
        self._private.write(self._place(name), data)

    def _place(self, name: str) -> Path:
        path = self._folder / name
        make_folder(path.parent)
        sweep(path.parent)
        return path


def _as_text(secret: bytes) -> bytes:
    return b"0x" + secret.hex().encode() + b"\n"


class Orders:
    """All orders of a node."""

    def __init__(self, folder: Path, key: RestKey) -> None:
        self._folder = folder
        self._private = PrivateFiles(folder, key)

    def seal_all(self) -> None:
        """Seals what an earlier release left plain; StateError where another key sealed the folder."""
        make_folder(self._folder)
        self._private.seal_all(path for pattern in _PRIVATE for path in self._folder.glob(f"*/{pattern}"))

    def folder(self, order: Digest) -> OrderFolder:
        """The folder of one order; nothing is made before its first write."""
        return OrderFolder(self._private, order)

    def find(self, prefix: str) -> Digest:
        """The accepted order whose digest begins so, with or without 0x; NodeError unless there is exactly one."""
        wanted = prefix.lower().removeprefix("0x")
        found = [order for order, _ in self.accepted() if wanted and order.hex().startswith(wanted)]
        if len(found) != 1:
            raise NodeError(
                f"{len(found)} accepted orders begin with {prefix!r}, expected one; `status` lists them"
            )
        return found[0]

    def accepted(self) -> Iterator[tuple[Digest, Accepted]]:
        """Every accepted order."""
        for folder in sorted(self._folder.glob("?" * 64)) if self._folder.is_dir() else []:
            order = Digest(bytes.fromhex(folder.name))
            accepted = self.folder(order).accepted()
            if accepted is not None:
                yield order, accepted
