"""What every writer shares, and writing around challenges and demands: one method a contract function.

docs/spec/refutation.md says what each discloses and costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS
from provenance.chain.dispute_reader import query_fields
from provenance.chain.disputes import DemandKind, DirectedProof, FalseRowClaim, FalseRowEvidence, RowQuestion
from provenance.chain.errors import RevertError
from provenance.chain.fees import DEFAULT_CEILING_WEI
from provenance.chain.ports import TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.sender import TransactionSender
from provenance.crypto.signing import Signer
from provenance.record.receipts import Evaluation, ModelCommitment, ShardReceipt
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Address, Digest


class MarketTransactions:
    """Transactions of one account, usable by threads. Reverts raise RevertError with name and arguments."""

    def __init__(
        self,
        chain: ChainReader,
        signer: Signer,
        *,
        wait_seconds: float = 60.0,
        outbox: Path | None = None,
        max_fee_wei: int = DEFAULT_CEILING_WEI,
    ) -> None:
        """As TransactionSender; a transaction counts as done when the reader's decisions see it."""
        self.chain = chain
        self._sender = TransactionSender(
            chain.rpc,
            signer,
            wait_seconds=wait_seconds,
            outbox=outbox,
            max_fee_wei=max_fee_wei,
            finality=chain.finality,
        )

    @property
    def address(self) -> Address:
        """The account that pays for gas and whose rights count."""
        return self._sender.address

    def _send(self, role: str, function: str, *arguments: Any) -> TxReceipt:
        contract = interface(CONTRACTS[role])
        data = contract.encode_call(function, arguments)
        address = self.chain.deployment.address(role)
        try:
            return self._sender.send(address, data, f"{contract.name}.{function}")
        except RevertError as error:
            error.unit = self.chain.deployment.unit
            raise


def pairs(participants: Sequence[Participant]) -> list[tuple[Address, int]]:
    """Participants as the ABI encodes them."""
    return [(each.contributor, each.rows) for each in participants]


class DisputeWriter(MarketTransactions):
    """Challenges, demands and their answers, sent by one account."""

    # --- challenges

    def challenge_commit(self, commitment: Digest) -> TxReceipt:
        """Binds this account to a claim that nobody can read yet; the claim follows in a later block."""
        return self._send("challenges", "commit", commitment)

    def challenge(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        claim: FalseRowClaim,
        evidence: FalseRowEvidence,
        salt: Digest,
        descendants: Sequence[int] = (),
    ) -> TxReceipt:
        """Proves a row false: its shard is out, its signer slashed, the challenger rewarded. Flags `descendants`.

        The bytes of `evidence` are public from then on.
        """
        place = (claim.dataset, claim.shard, claim.chunk, claim.row)
        return self._send(
            "challenges", "challenge", terms.values(), pairs(participants), place, _evidence(evidence), salt,
            list(descendants),
        )  # fmt: skip

    def try_attempts(
        self, query: RowQuestion, conditions: bytes, model: bytes, model_parts: Sequence[Address], count: int
    ) -> TxReceipt:
        """Shows that the next attempts of a conditioned row, at most `count`, do not meet its conditions; anyone.
        `model` empty: taken from its parts."""
        return self._send(
            "challenges", "tryAttempts", query_fields(query), conditions, model, list(model_parts), count
        )

    def challenge_model(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        dataset: int,
        shard: int,
        model_digests: Sequence[Digest],
        model: bytes,
        model_parts: Sequence[Address],
        salt: Digest,
        descendants: Sequence[int] = (),
    ) -> TxReceipt:
        """Proves that the committed bytes of a shard's model are no model. `model` empty: taken from its parts."""
        return self._send(
            "challenges", "challengeModel", terms.values(), pairs(participants), dataset, shard,
            list(model_digests), model, list(model_parts), salt, list(descendants),
        )  # fmt: skip

    def flag(self, dataset: int) -> TxReceipt:
        """Flags a data set one of whose parents was revoked or flagged; anyone."""
        return self._send("datasets", "flag", dataset)

    def store_model_part(self, part: bytes) -> TxReceipt:
        """Keeps bytes as contract code, at the address that ChainReader.model_part gives. Twice is once."""
        return self._send("modelStore", "store", part)

    # --- demands; a deposit goes with those for data, the demands contract must be approved for it

    def demand_step(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        shard: int,
        kind: DemandKind,
        digests: Sequence[Digest] = (),
    ) -> TxReceipt:
        """Asks a contributor for its next step (COMMITMENT, SALT, RECEIPT or EVALUATION), without a deposit; broker
        only. digests, as committed: the salts' for SALT, the models' for RECEIPT."""
        return self._send(
            "demands", "demandStep", terms.values(), pairs(participants), shard, kind, list(digests)
        )

    def demand_manifest(
        self, terms: OrderTerms, participants: Sequence[Participant], dataset: int
    ) -> TxReceipt:
        """Asks the broker for the manifest of a data set, inside the window."""
        return self._send("demands", "demandManifest", terms.values(), pairs(participants), dataset)

    def demand_model(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        dataset: int,
        shard: int,
        model_digests: Sequence[Digest],
    ) -> TxReceipt:
        """Asks for a shard's model in clear, inside the window; of a private order its buyer only."""
        return self._send(
            "demands", "demandModel", terms.values(), pairs(participants), dataset, shard, list(model_digests)
        )

    def demand_chunk(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        dataset: int,
        shard: int,
        shard_root: Digest,
        shard_proof: Sequence[Digest],
        row: int,
    ) -> TxReceipt:
        """Asks for the chunk that holds row `row` of a shard, inside the window."""
        return self._send(
            "demands", "demandChunk", terms.values(), pairs(participants), dataset, shard, shard_root,
            list(shard_proof), row,
        )  # fmt: skip

    def answer_commitment(self, commitment: ModelCommitment, signature: bytes) -> TxReceipt:
        """Puts a demanded commitment, signed by its contributor, on chain; anyone."""
        fields = (commitment.order, commitment.shard, commitment.model_digest, commitment.salt_digest)
        return self._send("demands", "answerCommitment", *fields, signature)

    def answer_salt(self, order: Digest, shard: int, salt: Digest) -> TxReceipt:
        """Puts a demanded salt on chain; anyone."""
        return self._send("demands", "answerSalt", order, shard, salt)

    def answer_evaluation(self, shard: int, evaluation: Evaluation, signature: bytes) -> TxReceipt:
        """Puts a demanded evaluation, signed by its contributor, on chain; anyone."""
        fields = (
            *(evaluation.dataset_root, evaluation.score_micro),
            *(evaluation.shares_digest, evaluation.score_digest),
        )
        return self._send("demands", "answerEvaluation", evaluation.order, shard, fields, signature)

    def answer_manifest(self, order: Digest, manifest: bytes) -> TxReceipt:
        """Puts a demanded manifest on chain; anyone."""
        return self._send("demands", "answerManifest", order, manifest)

    def answer_receipt(self, receipt: ShardReceipt, signature: bytes) -> TxReceipt:
        """Puts a demanded receipt, signed by its contributor, on chain; anyone."""
        fields = (receipt.shard_root, receipt.epsilon_micro, receipt.delta_e12, receipt.content_digest)
        return self._send("demands", "answerReceipt", receipt.order, receipt.shard, fields, signature)

    def answer_model(self, order: Digest, shard: int, model: bytes) -> TxReceipt:
        """Puts a demanded model on chain, in clear; anyone."""
        return self._send("demands", "answerModel", order, shard, model)

    def answer_model_from_parts(self, order: Digest, shard: int, parts: Sequence[Address]) -> TxReceipt:
        """Answers with a model that was stored in parts before; anyone."""
        return self._send("demands", "answerModelFromParts", order, shard, list(parts))

    def answer_chunk(
        self,
        order: Digest,
        shard: int,
        row_width: int,
        chunk_index: int,
        chunk: bytes,
        proof: DirectedProof,
    ) -> TxReceipt:
        """Puts a demanded chunk of rows on chain, in clear; anyone."""
        return self._send(
            "demands",
            "answerChunk",
            order,
            shard,
            row_width,
            chunk_index,
            chunk,
            list(proof.siblings),
            proof.path,
        )

    def expire(self, terms: OrderTerms, participants: Sequence[Participant], shard: int) -> TxReceipt:
        """Warns when nobody answered in time; the second time, ends the demand to the silent side's cost; anyone."""
        return self._send("demands", "expire", terms.values(), pairs(participants), shard)

    def collect_deposit(self, account: Address) -> TxReceipt:
        """Sends what could not be sent to `account` when a demand ended; anyone."""
        return self._send("demands", "collect", account)


def _evidence(evidence: FalseRowEvidence) -> tuple[Any, ...]:
    return (
        list(evidence.model_digests),
        evidence.shard_root,
        list(evidence.shard_proof),
        evidence.chunk,
        list(evidence.chunk_proof.siblings),
        evidence.chunk_proof.path,
        evidence.model,
        list(evidence.model_parts),
        evidence.conditions,
    )
