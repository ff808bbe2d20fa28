"""Reading one market from one chain."""

from __future__ import annotations

from typing import cast

from provenance.chain.deployment import CONTRACTS, EVENT_ROLES
from provenance.chain.dispute_reader import DisputeReader
from provenance.chain.errors import DeploymentError, UnknownDatasetError
from provenance.chain.events import (
    ChainEvent,
    DatasetPublished,
    EvaluationRecorded,
    ModelsCommitted,
    OrderMatched,
    SaltsCommitted,
    SaltsRevealed,
    ShardRecorded,
    ShardRevoked,
)
from provenance.chain.log_decoder import event_topic
from provenance.chain.ports import (
    Absence,
    CommitmentOnChain,
    DatasetOnChain,
    DatasetStatus,
    EvaluationOnChain,
    ExcusedEvaluation,
    OrderOnChain,
    OrderState,
    ShardOnChain,
    ShardsOnChain,
    StakeOnChain,
)
from provenance.chain.sales import SalesReader
from provenance.chain.token import permit_domain
from provenance.chain.views import LogQuery
from provenance.crypto.permit import PermitMessage
from provenance.crypto.typed_data import Domain
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Address, Digest

_NO_DIGEST = Digest(bytes(32))
_ASKED_AGAIN = 1024
"""Blocks that a reorganisation may have replaced since they were read."""


class ChainReader(DisputeReader, SalesReader):
    """Typed reads. Safe to share between threads. Close it, or use it as a context manager.

    Orders, commitments with their seed, participants, stakes, records and logs are read as deep in the chain as
    `finality` says. The latest block says what time it is, what an account holds, and what is demanded: time to
    answer runs from there.
    """

    def check(self) -> None:
        """Raises DeploymentError unless this chain has this market's contracts under this chain id."""
        chain_id = self.rpc.integer("eth_chainId")
        if chain_id != self._deployment.chain_id:
            raise DeploymentError(
                f"the node at {self.rpc.url} serves chain {chain_id}, the deployment is on chain "
                f"{self._deployment.chain_id}; use the RPC URL or deployment file that belong together"
            )
        for role, address in self._deployment.contracts().items():
            if self.rpc.request("eth_getCode", str(address), "latest") in ("0x", None):
                raise DeploymentError(
                    f"there is no contract at {address} ({CONTRACTS[role]}) on chain {chain_id}; "
                    "the chain was started anew or the deployment file is of another market"
                )

    def block_number(self) -> int:
        """Number of the latest block."""
        return self.rpc.integer("eth_blockNumber")

    def is_final(self, block: int) -> bool:
        """Whether what decides is read at this block, or after it."""
        return block <= self.finality.height(self.rpc)

    def chain_time(self) -> int:
        """Timestamp of the latest block, in seconds."""
        return int(self.rpc.block("latest")["timestamp"], 16)

    def block_hash(self, number: int) -> Digest | None:
        """Hash of block `number`; None when the node does not know it."""
        block = self.rpc.request("eth_getBlockByNumber", hex(number), False)
        return None if block is None else Digest.parse(block["hash"])

    def order(self, order_id: Digest) -> OrderOnChain:
        """The escrow's record; state NONE for an unknown order."""
        found = self._final("escrow", "orderOf", order_id)
        return OrderOnChain(
            order=order_id,
            state=OrderState(found["state"]),
            published_at=found["publishedAt"],
            participants_digest=Digest(found["participantsDigest"]),
            shares_digest=Digest(found["sharesDigest"]),
            bond_left=found["bondLeft"],
            settle_not_before=found["settleNotBefore"],
            open_demands=found["openDemands"],
        )

    def is_hash_fixed(self, order_id: Digest) -> bool:
        """Whether the hash of the target block stands on chain for good; from then on salts can be demanded."""
        return Digest(self._final("commitment", "saltsOf", order_id)["fixedHash"]) != _NO_DIGEST

    def shards(self, order_id: Digest) -> ShardsOnChain:
        """Which shards are out, and what is held for the buyer."""
        found = self._final("escrow", "shardsOf", order_id)
        return ShardsOnChain(
            out=frozenset(k for k in range(256) if found["out"] >> k & 1),
            dropped_rows=found["droppedRows"],
            convicted_rows=found["convictedRows"],
            damages=found["damages"],
            fee_forfeit=found["feeForfeit"],
        )

    def deadline(self, order_id: Digest) -> int:
        """Last chain time of commit, draw and publication, moved by demands included; 0 before the match."""
        return int(self._final("escrow", "deliverByOf", order_id))

    def is_overdue(self, order_id: Digest) -> bool:
        """Whether the newest block is past the deadline, as it stands there and as deep as `finality` says: an outage
        that only the newest blocks know of moves it."""
        now = self.chain_time()
        return now > self.deadline(order_id) and now > int(self._only("escrow", "deliverByOf", order_id))

    def excuse(self, order_id: Digest, shard: int) -> Absence:
        """Why the contributor's evaluation may be left out of the record."""
        return self.excused_evaluation(order_id, shard).absence

    def excused_evaluation(self, order_id: Digest, shard: int) -> ExcusedEvaluation:
        """`excuse`, with the evaluation that was shown when it was demanded."""
        found = self._final("demands", "excuseOf", order_id, shard)
        root = Digest(found["datasetRoot"])
        return ExcusedEvaluation(Absence(found["absence"]), found["scoreMicro"], root)

    def participants(self, order_id: Digest) -> tuple[Participant, ...]:
        """As matched; empty before the match."""
        matched = self._newest("escrow", OrderMatched, order_id)
        return () if matched is None else matched.participants

    def commitment(self, order_id: Digest) -> CommitmentOnChain:
        """Committed models and seed; `commit_block` 0 when nothing is committed."""
        found = self._final("commitment", "commitmentOf", order_id)
        seed = Digest(found["seed"])
        since = found["commitBlock"]
        committed = self._newest("commitment", ModelsCommitted, order_id, since=since) if since else None
        salted = self._newest("commitment", SaltsCommitted, order_id, since=since) if since else None
        is_drawn = salted is not None and seed != _NO_DIGEST
        revealed = self._newest("commitment", SaltsRevealed, order_id, since=since) if is_drawn else None
        return CommitmentOnChain(
            order=order_id,
            models_digest=Digest(found["modelsDigest"]),
            commit_block=found["commitBlock"],
            target_block=found["targetBlock"],
            draws=found["draws"],
            seed=None if seed == _NO_DIGEST else seed,
            models=() if committed is None else committed.model_digests,
            signatures=() if committed is None else committed.signatures,
            salts=() if salted is None else salted.salt_digests,
            revealed=() if revealed is None else revealed.salts,
        )

    def dataset(self, dataset_id: int) -> DatasetOnChain:
        """The registry's view joined with its events. Raises UnknownDatasetError."""
        event = self._newest("datasets", DatasetPublished, dataset_id)
        if event is None:
            raise UnknownDatasetError(
                f"no data set {dataset_id} is recorded at {self._deployment.datasets} on chain "
                f"{self._deployment.chain_id}; check the number and the RPC URL"
            )
        view = self._final("datasets", "datasetOf", dataset_id)
        block = event.at.block
        shards = self._logs("datasets", ShardRecorded, dataset_id, block=block)
        evaluations = self._logs("datasets", EvaluationRecorded, dataset_id, block=block)
        return DatasetOnChain(
            id=dataset_id,
            order=Digest(view["order"]),
            manifest_digest=Digest(view["manifestDigest"]),
            record_digest=Digest(view["recordDigest"]),
            dataset_root=Digest(view["datasetRoot"]),
            seed=event.seed,
            score_digest=event.score_digest,
            rows=view["rows"],
            epsilon_micro=event.epsilon_micro,
            delta_e12=event.delta_e12,
            depth=view["depth"],
            spec_version=view["specVersion"],
            real_fraction_micro=view["realFractionMicro"],
            royalty_bps=view["royaltyBps"],
            parents=event.parents,
            shares_bps=event.shares_bps,
            published_at=view["publishedAt"],
            status=view["status"],
            owner=self._owner(dataset_id),
            block=block,
            transaction=event.at.transaction,
            shards=tuple(map(_shard, sorted(shards, key=lambda each: each.shard))),
            evaluations=tuple(
                EvaluationOnChain(each.contributor, each.score_micro, each.signature) for each in evaluations
            ),
            revoked=frozenset(each.shard for each in self._logs("datasets", ShardRevoked, dataset_id))
            if view["status"] == DatasetStatus.REDUCED
            else frozenset(),
        )

    def dataset_of_order(self, order_id: Digest) -> int | None:
        """The data set that delivered the order; None before publication."""
        if self.order(order_id).state not in (OrderState.PUBLISHED, OrderState.SETTLED, OrderState.REVOKED):
            return None
        topics = (event_topic("DatasetPublished"), None, str(order_id))
        found = self._newest_log(LogQuery((self._deployment.datasets,), topics))
        return None if found is None else cast(DatasetPublished, found).id

    def recorded_shards(self, contributor: Address) -> dict[int, ShardOnChain]:
        """Every shard of the contributor's that was ever recorded, revoked or not, by data set, oldest first. What was
        found is kept, for many nodes give logs of few blocks at once; the newest are asked for again each time."""
        seen, kept = self._recorded.get(contributor, (0, ()))
        start, height = max(self._deployment.block, seen - _ASKED_AGAIN), self.finality.height(self.rpc)
        topics = (event_topic("ShardRecorded"), None, None, str(Digest(bytes(12) + contributor)))
        query = LogQuery((self._deployment.datasets,), topics)
        logs = self._raw_logs(query, start, height)
        found = [each for each in kept if each.at.block < start]
        found += [each for each in logs if isinstance(each, ShardRecorded)]
        self._recorded[contributor] = height, tuple(found)
        return {each.id: _shard(each) for each in found}

    def dataset_count(self) -> int:
        """Data sets published so far; the newest id."""
        return int(self._view("datasets", "count")["0"])

    def is_contract(self, account: Address) -> bool:
        """True when the account has code: its signatures are for the chain to judge (ERC-1271)."""
        code = self.rpc.request("eth_getCode", str(account), "latest")
        # EIP-7702: a delegated key account still signs with its key.
        return code not in ("0x", None) and not str(code).startswith("0xef0100")

    def stake_of(self, contributor: Address) -> StakeOnChain:
        """The contributor's stake and whether it is registered."""
        found = self._final("registry", "stakeOf", contributor)
        return StakeOnChain(
            free=found["free"],
            reserved=found["reserved"],
            unbonding=found["unbonding"],
            unbonding_at=found["unbondingAt"],
            registered=found["registered"],
        )

    def balance(self, account: Address) -> int:
        """Token wei of the account."""
        return int(self._view("token", "balanceOf", account)["0"])

    def ether_balance(self, account: Address) -> int:
        """Wei of the chain's own coin, which pays for gas."""
        return self.rpc.integer("eth_getBalance", str(account), "latest")

    def allowance(self, owner: Address, spender: Address) -> int:
        """Token wei that `spender` may take from `owner`."""
        return int(self._view("token", "allowance", owner, spender)["0"])

    def claimable(self, account: Address) -> int:
        """Token wei that the account may claim."""
        return int(self._view("rewards", "claimable", account)["0"])

    def hash_terms(self, terms: OrderTerms) -> Digest:
        """The order id as the contract computes it."""
        return Digest(self._view("escrow", "hashTerms", terms.values())["0"])

    def token_domain(self) -> Domain:
        """The token's own EIP-712 domain, under which permits are signed. Raises DeploymentError as `permit_domain`."""
        return permit_domain(self.rpc, self._deployment.token)

    def permit_message(
        self, owner: Address, value: int, deadline: int, *, spender: Address | None = None
    ) -> PermitMessage:
        """The permit that lets `spender` (None: the escrow) take `value` token wei up to chain time `deadline`."""
        nonce = int(self._view("token", "nonces", owner)["0"])
        return PermitMessage(owner, spender or self._deployment.escrow, value, nonce, deadline)

    def events(self, from_block: int, to_block: int) -> list[ChainEvent]:
        """Every event of the market's contracts (the token's excepted) in chain order, both ends included."""
        addresses = tuple(self._deployment.address(role) for role in EVENT_ROLES)
        return self._raw_logs(LogQuery(addresses), from_block, to_block)

    def _owner(self, dataset_id: int) -> Address:
        owner = self._view("datasets", "ownerOf", dataset_id)["0"]
        return cast(Address, owner)


def _shard(event: ShardRecorded) -> ShardOnChain:
    return ShardOnChain(
        shard=event.shard,
        contributor=event.contributor,
        model_digest=event.model_digest,
        shard_root=event.shard_root,
        rows=event.rows,
        epsilon_micro=event.epsilon_micro,
        delta_e12=event.delta_e12,
        content_digest=event.content_digest,
        receipt=event.receipt,
    )
