"""Writing to the market: one method a contract function. Each waits until mined. Idempotence is the caller's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from provenance.chain.dispute_writer import DisputeWriter, pairs
from provenance.chain.ports import CommittedModel, DatasetRecord, TxReceipt
from provenance.chain.sales import KeyFault, OfferTaken
from provenance.crypto.permit import Permit
from provenance.record.terms import OrderTerms, Participant
from provenance.values import Address, Digest


class ChainWriter(DisputeWriter):
    """Transactions of one account, usable by threads. Reverts raise RevertError with name and arguments."""

    # --- the buyer

    def place(self, terms: OrderTerms, terms_signature: bytes, permit: Permit) -> TxReceipt:
        """Opens the order and takes the price from the buyer; anyone may relay it."""
        signed = (permit.deadline, permit.v, permit.r, permit.s)
        return self._send("escrow", "place", terms.values(), terms_signature, signed)

    def cancel(self, terms: OrderTerms) -> TxReceipt:
        """Takes an open order back; buyer only."""
        return self._send("escrow", "cancel", terms.values())

    def refund(self, terms: OrderTerms, participants: Sequence[Participant]) -> TxReceipt:
        """Ends an overdue order; anyone. `participants` as matched, empty for an open order."""
        return self._send("escrow", "refund", terms.values(), pairs(participants))

    # --- the broker

    def match_order(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        acceptances: Sequence[bytes],
        max_rows: Sequence[int],
        conditions: bytes = b"",
    ) -> TxReceipt:
        """Binds contributors; the escrow must be approved for the bond. conditions: those of the terms in bytes."""
        return self._send(
            *("escrow", "matchOrder", terms.values(), pairs(participants)),
            *(list(acceptances), list(max_rows), conditions),
        )

    def abandon(self, terms: OrderTerms, participants: Sequence[Participant]) -> TxReceipt:
        """Gives the order up and refunds the buyer at once."""
        return self._send("escrow", "abandon", terms.values(), pairs(participants))

    def publish(
        self, terms: OrderTerms, participants: Sequence[Participant], record: DatasetRecord
    ) -> TxReceipt:
        """Records the data set, mints its token to the buyer. ChainReader.dataset_of_order gives the id."""
        return self._send("datasets", "publish", terms.values(), pairs(participants), _record(record))

    # --- anyone

    def commit(
        self,
        order: Digest,
        participants: Sequence[Participant],
        models: Sequence[CommittedModel],
    ) -> TxReceipt:
        """Fixes the models of a matched order and everybody's salt of its seed, one of each a participant."""
        return self._send(
            *("commitment", "commit", order, pairs(participants)),
            [each.model_digest for each in models],
            [each.salt_digest for each in models],
            [each.signature for each in models],
        )

    def fix_hash(self, order: Digest) -> TxReceipt:
        """Keeps the hash of the target block, so that the seed can be drawn however late the last salt comes."""
        return self._send("commitment", "fixHash", order)

    def draw_seed(self, order: Digest, salt_digests: Sequence[Digest], salts: Sequence[Digest]) -> TxReceipt:
        """Draws the seed once the target block has a successor; anyone. salt_digests: as committed. salts: of all
        participants, in order, zero for one that was dropped."""
        return self._send("commitment", "drawSeed", order, list(salt_digests), list(salts))

    def redraw(self, order: Digest) -> TxReceipt:
        """Appoints a new block after a missed draw."""
        return self._send("commitment", "redraw", order)

    def settle(
        self,
        terms: OrderTerms,
        participants: Sequence[Participant],
        shares_bps: Sequence[int],
        parents: Sequence[int] = (),
    ) -> TxReceipt:
        """Divides the price once the window is over and no demand is open. `parents` as published: they get
        their royalties."""
        return self._send(
            "escrow", "settle", terms.values(), pairs(participants), list(shares_bps), list(parents)
        )

    def distribute(
        self, dataset: int, participants: Sequence[Participant], shares_bps: Sequence[int]
    ) -> TxReceipt:
        """Divides what a data set earned by royalties among its contributors."""
        return self._send("rewards", "distribute", dataset, pairs(participants), list(shares_bps))

    def set_payout(self, account: Address, payout: Address, deadline: int, signature: bytes) -> TxReceipt:
        """Has the rewards of `account` paid to `payout` from now on; signed by the present payout address, sent
        by anyone."""
        return self._send("rewards", "setPayout", account, payout, deadline, signature)

    def claim(self) -> TxReceipt:
        """Fetches this account's rewards."""
        return self._send("rewards", "claim")

    def claim_for(self, account: Address) -> TxReceipt:
        """Has the rewards of `account` sent to it."""
        return self._send("rewards", "claimFor", account)

    # --- the contributor

    def register(self, metadata_digest: Digest) -> TxReceipt:
        """Registers this account, or replaces its metadata."""
        return self._send("registry", "register", metadata_digest)

    def deposit(self, amount_wei: int) -> TxReceipt:
        """Adds to the free stake; the registry must be approved."""
        return self._send("registry", "deposit", amount_wei)

    def request_withdrawal(self, amount_wei: int) -> TxReceipt:
        """Starts the unbonding of free stake."""
        return self._send("registry", "requestWithdrawal", amount_wei)

    def withdraw(self) -> TxReceipt:
        """Fetches unbonded stake."""
        return self._send("registry", "withdraw")

    # --- resale and royalties

    def approve_sale(self, dataset: int) -> TxReceipt:
        """Lets the sales contract move the data set's token; its holder only."""
        return self._send("datasets", "approve", self.chain.deployment.sales, dataset)

    def list_for_sale(self, dataset: int, price: int, commitments: Sequence[Digest]) -> TxReceipt:
        """Offers a data set and its keys at `price` token wei, or changes that; holder only, after `approve_sale` and
        an approval for the deposit."""
        return self._send("sales", "list", dataset, price, list(commitments))

    def unlist(self, dataset: int) -> TxReceipt:
        """Takes an offer back."""
        return self._send("sales", "unlist", dataset)

    def buy(self, offer: OfferTaken, permit: Permit) -> TxReceipt:
        """Pays the list price."""
        signed = (permit.deadline, permit.v, permit.r, permit.s)
        return self._send("sales", "buy", offer.dataset, offer.price, offer.promised, offer.point, signed)

    def deliver_keys(self, dataset: int, wrapped_keys: bytes) -> TxReceipt:
        """Hands the keys over, masked for the buyer; seller only, in time."""
        return self._send("sales", "deliver", dataset, wrapped_keys)

    def accept_sale(self, dataset: int) -> TxReceipt:
        """Ends a delivered sale; its buyer, or anyone after the time to reject."""
        return self._send("sales", "accept", dataset)

    def reject_sale(self, dataset: int, fault: KeyFault) -> TxReceipt:
        """Undoes a delivered sale by proof; anyone who has it, in time."""
        shown = (fault.place, fault.secret, fault.shared, fault.wrapped_keys, list(fault.commitments))
        return self._send("sales", "reject", dataset, shown)

    def expire_sale(self, dataset: int) -> TxReceipt:
        """Undoes a sale whose keys were not delivered in time; anyone."""
        return self._send("sales", "expire", dataset)

    def collect_royalties(self, dataset: int) -> TxReceipt:
        """Moves what marketplaces paid for a data set to its pot; anyone."""
        return self._send("royalties", "collect", dataset)

    # --- money

    def approve(self, spender: Address, amount_wei: int) -> TxReceipt:
        """Lets `spender` (escrow, registry) take token wei from this account."""
        return self._send("token", "approve", spender, amount_wei)

    def mint(self, account: Address, amount_wei: int) -> TxReceipt:
        """New test tokens; the token of a local chain only."""
        return self._send("token", "mint", account, amount_wei)

    def transfer(self, account: Address, amount_wei: int) -> TxReceipt:
        """Sends token wei."""
        return self._send("token", "transfer", account, amount_wei)

    def send_ether(self, account: Address, amount_wei: int) -> TxReceipt:
        """Sends the chain's own coin, which pays for gas."""
        return self._sender.send(account, b"", f"transfer to {account}", value_wei=amount_wei)


def _record(record: DatasetRecord) -> tuple[Any, ...]:
    shards = [
        (
            each.model_digest,
            each.shard_root,
            each.epsilon_micro,
            each.delta_e12,
            each.content_digest,
            each.receipt,
        )
        for each in record.shards
    ]
    evaluations = [(each.score_micro, each.signature) for each in record.evaluations]
    return (
        record.manifest_digest,
        record.score_digest,
        list(record.parents),
        list(record.shares_bps),
        shards,
        evaluations,
    )
