"""What the rest of Tessera needs from a chain: values and Protocols. Imports nothing heavy.

The real reader is reader.ChainReader, the real writer writer.ChainWriter; tests may bring memory twins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from provenance.chain.deployment import Deployment
from provenance.chain.dispute_events import ReceiptAnswered
from provenance.chain.errors import UnknownShardError
from provenance.chain.events import ChainEvent
from provenance.crypto.merkle import Proof, leaves
from provenance.crypto.permit import Permit
from provenance.record.terms import OrderTerms, Participant
from provenance.units import WHOLE_MICRO
from provenance.values import Address, Digest

_NO_DIGEST = Digest(bytes(32))


class OrderState(IntEnum):
    """States of OrderEscrow, in the contract's order."""

    NONE = 0
    OPEN = 1
    MATCHED = 2
    PUBLISHED = 3
    SETTLED = 4
    CANCELLED = 5
    REFUNDED = 6
    REVOKED = 7


class DatasetStatus(IntEnum):
    """What a record is worth now, in the order of DatasetRegistry. Revoked: proven false; flagged: derived from
    a data set that was; reduced: shards of it were revoked, the others stand."""

    NONE = 0
    VALID = 1
    REVOKED = 2
    FLAGGED = 3
    REDUCED = 4


@dataclass(frozen=True, slots=True)
class OrderOnChain:
    """The escrow's record of an order; amounts in token wei, times in chain seconds."""

    order: Digest
    state: OrderState
    published_at: int
    participants_digest: Digest
    shares_digest: Digest
    bond_left: int
    settle_not_before: int = 0
    """Latest end of a window that an answered demand opened; 0 for none."""
    open_demands: int = 0

    def window_ends(self, challenge_seconds: int) -> int:
        """Chain time from which the published order may be settled, if no demand is open and the chain did not go down
        meanwhile (`ChainReads.end_of`)."""
        return max(self.published_at + challenge_seconds, self.settle_not_before)


@dataclass(frozen=True, slots=True)
class ShardsOnChain:
    """What came of an order's shards (`IOrderEscrow.Shards`). out: those dropped before the publication or convicted
    after it. damages: token wei held for the buyer until the settlement. fee_forfeit: the broker withheld the manifest.
    """

    out: frozenset[int] = frozenset()
    dropped_rows: int = 0
    convicted_rows: int = 0
    damages: int = 0
    fee_forfeit: bool = False


class Absence(IntEnum):
    """What came of the demand for an evaluation, in the contract's order."""

    NONE = 0
    ANSWERED = 1
    SILENT = 2


@dataclass(frozen=True, slots=True)
class ExcusedEvaluation:
    """How the demand for a contributor's evaluation ended: what it answered with, if it did."""

    absence: Absence
    score_micro: int = 0
    dataset_root: Digest = _NO_DIGEST


@dataclass(frozen=True, slots=True)
class OrderLimits:
    """What a market asks of every order (`IOrderEscrow.Limits`): seconds, rows, token wei; the score in 1e-6."""

    min_answer_seconds: int
    min_challenge_seconds: int = 0
    min_delivery_seconds: int = 0
    max_score_micro: int = WHOLE_MICRO
    min_rows: int = 1
    min_price: int = 0
    min_stake: int = 0
    min_stake_bps: int = 0
    min_bond: int = 0


@dataclass(frozen=True, slots=True)
class CommitmentOnChain:
    """Committed models and the seed draw. `seed` is None until drawn; `commit_block` 0 = not committed.

    `models` and `signatures` come from the ModelsCommitted event, in shard order.
    """

    order: Digest
    models_digest: Digest
    commit_block: int
    target_block: int
    draws: int
    seed: Digest | None
    models: tuple[Digest, ...]
    signatures: tuple[bytes, ...]
    salts: tuple[Digest, ...] = ()
    """Digests of the contributors' salts, from SaltsCommitted; none in a market of an earlier release."""
    revealed: tuple[Digest, ...] = ()
    """The salts themselves, from SaltsRevealed, once the seed is drawn."""


@dataclass(frozen=True, slots=True)
class StakeOnChain:
    """A contributor's stake in token wei; `unbonding` may be withdrawn from chain time `unbonding_at`."""

    free: int
    reserved: int
    unbonding: int
    unbonding_at: int
    registered: bool


@dataclass(frozen=True, slots=True)
class ShardOnChain:
    """One ShardRecorded event."""

    shard: int
    contributor: Address
    model_digest: Digest
    shard_root: Digest
    rows: int
    epsilon_micro: int
    delta_e12: int
    content_digest: Digest
    receipt: bytes


@dataclass(frozen=True, slots=True)
class EvaluationOnChain:
    """One EvaluationRecorded event."""

    contributor: Address
    score_micro: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class ShownChunk:
    """A chunk that its contributor showed on chain, with its proof up to the shard's root."""

    index: int
    data: bytes
    proof: Proof


@dataclass(frozen=True, slots=True)
class DatasetOnChain:
    """A published data set: the registry's view joined with its events."""

    id: int
    order: Digest
    manifest_digest: Digest
    record_digest: Digest
    dataset_root: Digest
    seed: Digest
    score_digest: Digest
    rows: int
    epsilon_micro: int
    delta_e12: int
    depth: int
    spec_version: int
    real_fraction_micro: int
    royalty_bps: int
    parents: tuple[int, ...]
    shares_bps: tuple[int, ...]
    published_at: int
    status: int
    """A DatasetStatus; a number that this release does not know means: not valid."""
    owner: Address
    block: int
    transaction: Digest
    shards: tuple[ShardOnChain, ...]
    """In ascending order; none of a contributor that was dropped before the publication."""
    evaluations: tuple[EvaluationOnChain, ...]
    revoked: frozenset[int] = frozenset()
    """Shards that were found false or withheld, of a data set whose others stand."""

    def shard(self, number: int) -> ShardOnChain:
        """Raises UnknownShardError for one that was not published."""
        for each in self.shards:
            if each.shard == number:
                return each
        known = ", ".join(str(each.shard) for each in self.shards)
        raise UnknownShardError(f"data set {self.id} has no shard {number}; it has {known}")

    @property
    def stands(self) -> bool:
        """Whether the data set, or what is left of it, is worth what was recorded."""
        return self.status in (DatasetStatus.VALID, DatasetStatus.REDUCED)

    @property
    def standing(self) -> tuple[ShardOnChain, ...]:
        """The shards that nobody showed to be false or withheld, in ascending order; none of a revoked data set."""
        if self.status == DatasetStatus.REVOKED:
            return ()
        return tuple(each for each in self.shards if each.shard not in self.revoked)

    @property
    def shard_roots(self) -> tuple[Digest, ...]:
        """The leaves of the data set's tree, one a participant; zero for one that was dropped."""
        return leaves({each.shard: each.shard_root for each in self.shards}, len(self.shares_bps))


@dataclass(frozen=True, slots=True)
class TxReceipt:
    """A mined transaction that did not revert."""

    hash: Digest
    block: int
    gas_used: int


@dataclass(frozen=True, slots=True)
class CommittedModel:
    """What a contributor binds itself to before the seed: model, salt, and its signature under both."""

    model_digest: Digest
    salt_digest: Digest
    signature: bytes


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """One shard of a publication, in participant order."""

    model_digest: Digest
    shard_root: Digest
    epsilon_micro: int
    delta_e12: int
    content_digest: Digest
    receipt: bytes


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One signed score of a publication, in participant order."""

    score_micro: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """What the broker publishes; checked on chain against order, commitment and signatures."""

    manifest_digest: Digest
    score_digest: Digest
    parents: tuple[int, ...]
    shares_bps: tuple[int, ...]
    shards: tuple[ShardRecord, ...]
    evaluations: tuple[EvaluationRecord, ...]


@dataclass(frozen=True, slots=True)
class Purchase:
    """One resale of a data set: the buyer's one-time point (x coordinate), and the masked keys that the seller
    delivered for it (docs/spec/sealing.md), None while it has not."""

    point: Digest
    wrapped_keys: bytes | None


class ChainReads(Protocol):
    """Reads of one market on one chain. Raises ChainUnavailableError when the node does not answer."""

    @property
    def deployment(self) -> Deployment: ...

    def block_number(self) -> int: ...
    def is_final(self, block: int) -> bool: ...

    def chain_time(self) -> int:
        """Timestamp of the latest block, in seconds."""
        ...

    def block_hash(self, number: int) -> Digest | None:
        """None when the node does not (or no longer) know the block."""
        ...

    def order(self, order_id: Digest) -> OrderOnChain: ...

    def commitment(self, order_id: Digest) -> CommitmentOnChain: ...

    def dataset(self, dataset_id: int) -> DatasetOnChain:
        """Raises UnknownDatasetError."""
        ...

    def dataset_of_order(self, order_id: Digest) -> int | None:
        """The data set that delivered the order; None before publication."""
        ...

    def recorded_shards(self, contributor: Address) -> Mapping[int, ShardOnChain]:
        """Every shard of the contributor's that was ever recorded, revoked or not, by data set, oldest first."""
        ...

    def participants(self, order_id: Digest) -> tuple[Participant, ...]:
        """From the OrderMatched event; empty before the match."""
        ...

    def is_hash_fixed(self, order_id: Digest) -> bool: ...

    def shards(self, order_id: Digest) -> ShardsOnChain: ...

    def deadline(self, order_id: Digest) -> int:
        """Last chain time of commit, draw and publication; 0 before the match."""
        ...

    def is_overdue(self, order_id: Digest) -> bool:
        """Whether the newest block is past the deadline, as it stands there and as deep as `finality` says: an outage
        that only the newest blocks know of moves it."""
        ...

    def excuse(self, order_id: Digest, shard: int) -> Absence:
        """Why the contributor's evaluation may be left out of the record."""
        ...

    def excused_evaluation(self, order_id: Digest, shard: int) -> ExcusedEvaluation:
        """`excuse`, with the evaluation that was shown when it was demanded."""
        ...

    def answered_receipt(self, order_id: Digest, shard: int) -> ReceiptAnswered | None:
        """The receipt as it was shown when it was demanded, which the chain checked; None when it was not."""
        ...

    def shown_models(self, order_id: Digest) -> Mapping[int, bytes]:
        """Models in clear by shard, as they were shown when they were demanded; the chain checked their digests."""
        ...

    def is_contract(self, account: Address) -> bool:
        """True when the account has code: its signatures are for the chain to judge (ERC-1271)."""
        ...

    def limits(self) -> OrderLimits: ...

    def uptime_feed(self) -> Address | None:
        """The feed that tells of outages of the chain, which move the ends of times (`IOrderEscrow.endOf`); None in a
        market without one."""
        ...

    def end_of(self, deadline: int, length: int) -> int:
        """When a time of `length` seconds ends that ran to chain time `deadline`, outages of the chain counted in."""
        ...

    def stake_of(self, contributor: Address) -> StakeOnChain: ...

    def balance(self, account: Address) -> int: ...

    def claimable(self, account: Address) -> int: ...

    def shown_manifest(self, order_id: Digest) -> bytes | None:
        """The manifest as it was shown on chain, which checked its digest; None when nobody demanded it."""
        ...

    def purchases(self, dataset: int) -> Sequence[Purchase]:
        """Every purchase of the data set by resale, the oldest first."""
        ...

    def events(self, from_block: int, to_block: int) -> Sequence[ChainEvent]: ...


class ChainWriting(Protocol):
    """Transactions of one account. Each waits until mined; reverts raise RevertError with name and arguments."""

    @property
    def address(self) -> Address: ...

    def place(self, terms: OrderTerms, terms_signature: bytes, permit: Permit) -> TxReceipt: ...

    def cancel(self, terms: OrderTerms) -> TxReceipt: ...

    def match_order(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        acceptances: Sequence[bytes],
        max_rows: Sequence[int],
        conditions: bytes = ...,
    ) -> TxReceipt: ...

    def abandon(self, terms: OrderTerms, participants: Sequence[Participant]) -> TxReceipt: ...

    def refund(self, terms: OrderTerms, participants: Sequence[Participant]) -> TxReceipt: ...

    def commit(
        self,
        order: Digest,
        participants: Sequence[Participant],
        models: Sequence[CommittedModel],
    ) -> TxReceipt: ...

    def fix_hash(self, order: Digest) -> TxReceipt: ...

    def draw_seed(
        self, order: Digest, salt_digests: Sequence[Digest], salts: Sequence[Digest]
    ) -> TxReceipt: ...

    def redraw(self, order: Digest) -> TxReceipt: ...

    def publish(
        self, terms: OrderTerms, participants: Sequence[Participant], record: DatasetRecord
    ) -> TxReceipt: ...

    def settle(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        shares_bps: Sequence[int],
        parents: Sequence[int] = (),
    ) -> TxReceipt: ...
