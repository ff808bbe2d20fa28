"""Reading around challenges, demands, their answers and royalties."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from provenance.chain.abi import interface
from provenance.chain.dispute_events import (
    ChunkAnswered,
    CommitmentAnswered,
    EvaluationAnswered,
    ManifestAnswered,
    ModelAnswered,
    ReceiptAnswered,
    SaltAnswered,
)
from provenance.chain.disputes import (
    ATTEMPTS_HEAD_START_SECONDS,
    DemandKind,
    DemandOnChain,
    RowAttempts,
    RowQuestion,
    Verdict,
)
from provenance.chain.errors import ChainError, ChainUnavailableError
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.chain.ports import ShownChunk
from provenance.chain.views import MarketViews
from provenance.crypto.merkle import Proof
from provenance.exact.size_class import ATTEMPTS
from provenance.values import Address, Digest

A = TypeVar("A", CommitmentAnswered, SaltAnswered, ReceiptAnswered, EvaluationAnswered)


class DisputeReader(MarketViews):
    """What the judge of rows says, which demands are open, where model bytes are kept, who is paid."""

    def verdict(self, model: bytes, conditions: bytes, query: RowQuestion, chunk: bytes) -> Verdict:
        """RowVerifier.judge as a call that costs nothing; attempts that no call can make at once are made one after
        another. Raises RevertError for a model of another digest."""
        try:
            found = self._view("verifier", "judge", model, [], conditions, query_fields(query), chunk)
        except ChainError as error:
            if error.name or not conditions or isinstance(error, ChainUnavailableError):
                raise
            row = query_fields(query, self._first_met(model, conditions, query))
            found = self._view("verifier", "judge", model, [], conditions, row, chunk)
        return Verdict(found["verdict"])

    def _first_met(self, model: bytes, conditions: bytes, query: RowQuestion) -> int:
        """The first attempt that meets the conditions, 64 for none."""
        made = 0
        while made < ATTEMPTS:
            row = query_fields(query, made)
            found = int(self._only("verifier", "tryAttempts", model, [], conditions, row, 1))
            if found == made:
                break
            made = found
        return made

    def row_of(self, model: bytes, conditions: bytes, query: RowQuestion) -> bytes:
        """The row's bytes as the chain computes them."""
        return bytes(self._only("verifier", "rowOf", model, conditions, query_fields(query)))

    def model_verdict(self, model: bytes, schema_digest: Digest, size_class: int) -> Verdict:
        """What the chain says of a model under terms of this schema and size class; AGREES if it is sound."""
        return Verdict(self._only("verifier", "judgeModel", model, [], schema_digest, size_class))

    def row_attempts(self, query: RowQuestion, conditions: bytes) -> RowAttempts:
        """What is known of a conditioned row's attempts."""
        row = self._only("challenges", "attemptsId", query_fields(query), conditions)
        found = self._only("challenges", "attemptsOf", row)
        return RowAttempts(
            found["made"], found["firstBlock"], found["firstTime"] + ATTEMPTS_HEAD_START_SECONDS + 1
        )

    def attempts_gas(
        self,
        query: RowQuestion,
        conditions: bytes,
        model: bytes,
        parts: Sequence[Address],
        first: int,
        count: int,
    ) -> int:
        """Gas of a transaction that makes attempts first .. first + count - 1 of a row, about; more than any
        transaction may take where the node cannot tell because they do not fit."""
        data = interface("RowVerifier").encode_call(
            "tryAttempts", [model, list(parts), conditions, query_fields(query, first), count]
        )
        request = {"to": str(self.deployment.address("verifier")), "data": "0x" + data.hex()}
        try:
            return int(self.rpc.request("eth_estimateGas", request), 16)
        except ChainUnavailableError:
            raise
        except ChainError as error:
            if error.name:
                raise
            return TRANSACTION_GAS_CAP + 1

    def model_part(self, part: bytes) -> Address:
        """Where ModelStore keeps (or would keep) these bytes."""
        found: Address = self._only("modelStore", "addressOf", part)
        return found

    def challenge_committed_at(self, commitment: Digest) -> int:
        """Block of a commitment to a claim; 0 when there is none."""
        return int(self._only("challenges", "committedAt", commitment))

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        """The open demand about a shard; kind NONE when there is none."""
        found = self._only("demands", "demandOf", order, shard)
        return DemandOnChain(
            order=order,
            shard=shard,
            kind=DemandKind(found["kind"]),
            demander=found["demander"],
            answer_by=found["answerBy"],
            deposit=found["deposit"],
            row=found["row"],
        )

    def is_warned(self, order: Digest, shard: int) -> bool:
        """Whether the first time of the open demand has passed: after the second, silence is punished."""
        return bool(self._only("demands", "isWarned", order, shard))

    def answered_commitment(self, order: Digest, shard: int) -> CommitmentAnswered | None:
        """The commitment of a shard as it was shown when it was demanded; None when it was not."""
        return self._answered(CommitmentAnswered, order, shard)

    def answered_salt(self, order: Digest, shard: int) -> SaltAnswered | None:
        """As `answered_commitment`, for the salt."""
        return self._answered(SaltAnswered, order, shard)

    def answered_receipt(self, order_id: Digest, shard: int) -> ReceiptAnswered | None:
        """As `answered_commitment`, for the receipt."""
        return self._answered(ReceiptAnswered, order_id, shard)

    def answered_evaluation(self, order: Digest, shard: int) -> EvaluationAnswered | None:
        """As `answered_commitment`, for the evaluation."""
        return self._answered(EvaluationAnswered, order, shard)

    def _answered(self, event: type[A], order: Digest, shard: int) -> A | None:
        return next((each for each in self._logs("demands", event, order) if each.shard == shard), None)

    def shown_models(self, order_id: Digest) -> dict[int, bytes]:
        """Models in clear by shard, as their contributors showed them when they were demanded.

        The demands contract has checked them against the committed digests, and chunks against the recorded roots.
        """
        return {event.shard: bytes(event.model) for event in self._logs("demands", ModelAnswered, order_id)}

    def shown_manifest(self, order: Digest) -> bytes | None:
        """The manifest as it was shown on chain, which checked its digest; None when nobody demanded it."""
        event = self._newest("demands", ManifestAnswered, order)
        return None if event is None else bytes(event.manifest)

    def shown_chunks(self, order: Digest, shard: int) -> tuple[ShownChunk, ...]:
        """The chunks of a shard that were shown, oldest first."""
        return tuple(
            ShownChunk(event.chunk_index, event.chunk, Proof(event.path, event.path_bits))
            for event in self._logs("demands", ChunkAnswered, order)
            if event.shard == shard
        )

    def payout_of(self, account: Address) -> Address:
        """Where rewards of the account go; itself until it chose another."""
        found: Address = self._only("rewards", "payoutOf", account)
        return found

    def payout_nonce(self, account: Address) -> int:
        """Number of the next Payout message of the account."""
        return int(self._only("rewards", "nonces", account))

    def dataset_balance(self, dataset_id: int) -> int:
        """Token wei that a data set earned by royalties and that nobody divided yet."""
        return int(self._only("rewards", "datasetBalance", dataset_id))


def query_fields(query: RowQuestion, attempt: int = 0) -> tuple[Any, ...]:
    """The query as the ABI encodes it, from an attempt on."""
    return (
        *(
            query.model_digest,
            query.seed,
            query.schema_digest,
            query.size_class,
            query.shard,
            query.shard_rows,
        ),
        *(query.request_row, query.chunk, query.row, attempt),
    )
