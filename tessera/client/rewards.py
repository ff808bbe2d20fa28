"""What the market owes: claims (for oneself or relayed), payout addresses, royalties, deposits that wait."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from provenance.chain.ports import TxReceipt
from provenance.chain.reader import ChainReader
from provenance.chain.writer import ChainWriter
from provenance.crypto.signing import Signer
from provenance.document import Reader
from provenance.record.receipts import Payout
from provenance.values import Address, Signature
from tessera.errors import TesseraError, UsageError

FORMAT = "tessera-payout/1"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What was sent: token wei of rewards and of deposits, and where they went."""

    account: Address
    payout: Address
    rewards_wei: int
    deposit_wei: int
    receipts: tuple[TxReceipt, ...]


@dataclass(frozen=True, slots=True)
class SignedPayout:
    """A rotation that anybody may send: rewards of `message.account` go to `message.payout` from then on."""

    message: Payout
    signature: Signature

    def write(self, path: Path) -> None:
        """As JSON. It is no secret: it says nothing that the chain will not."""
        document = {
            "format": FORMAT,
            "account": str(self.message.account),
            "payout": str(self.message.payout),
            "nonce": self.message.nonce,
            "deadline": self.message.deadline,
            "signature": str(self.signature),
        }
        if path.exists():
            raise UsageError(f"{path} exists already and would be overwritten: choose another name")
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> SignedPayout:
        """Raises DocumentError for a file of another kind."""
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UsageError(f"{path} is not JSON ({error}): expected a {FORMAT} document") from error
        reader = Reader(
            document, str(path), ("format", "account", "payout", "nonce", "deadline", "signature")
        )
        reader.constant("format", FORMAT)
        message = Payout(
            reader.address("account"),
            reader.address("payout"),
            reader.integer("nonce"),
            reader.integer("deadline"),
        )
        return cls(message, reader.signature("signature"))


@dataclass(frozen=True, slots=True)
class Rewards:
    """Rewards by one wallet, which pays for gas and signs for itself."""

    chain: ChainReader
    writer: ChainWriter
    signer: Signer

    def claim(self, account: Address | None = None) -> Claimed:
        """Send what `account` (None: this wallet) earned to its payout address, and deposits that
        wait for it.

        Anybody may send for anybody: the money has no other way to go.
        """
        account = account or self.signer.address
        owed, waiting = self.chain.claimable(account), self.chain.deposit_waiting(account)
        receipts = []
        if owed:
            own = account == self.signer.address
            receipts.append(self.writer.claim() if own else self.writer.claim_for(account))
        if waiting:
            receipts.append(self.writer.collect_deposit(account))
        return Claimed(account, self.chain.payout_of(account), owed, waiting, tuple(receipts))

    def sign_payout(self, account: Address, payout: Address, valid_seconds: int) -> SignedPayout:
        """Sign that rewards of `account` go to `payout`; this wallet must be the present payout address."""
        present = self.chain.payout_of(account)
        if present != self.signer.address:
            raise TesseraError(
                f"rewards of {account} go to {present}: only that address can name another, this wallet is "
                f"{self.signer.address}"
            )
        deadline = self.chain.chain_time() + valid_seconds
        message = Payout(account, payout, self.chain.payout_nonce(account), deadline)
        return SignedPayout(message, self.signer.sign_typed(self.chain.deployment.domain, message))

    def send_payout(self, signed: SignedPayout) -> TxReceipt:
        """Bring a signed rotation to the chain; whoever signed need not hold any coin."""
        message = signed.message
        nonce = self.chain.payout_nonce(message.account)
        if message.nonce != nonce:
            raise TesseraError(
                f"this rotation is number {message.nonce} of {message.account}, the chain expects number {nonce}: it "
                "was sent already, or another was. Sign anew"
            )
        return self.writer.set_payout(
            message.account, message.payout, message.deadline, bytes(signed.signature)
        )

    def collect_royalties(self, dataset: int) -> TxReceipt | None:
        """Move what marketplaces paid to the data set's royalty address into its pot; None when
        nothing is there."""
        if not self.chain.balance(self.chain.royalty_receiver(dataset)):
            return None
        return self.writer.collect_royalties(dataset)

    def divide_royalties(self, dataset: int) -> TxReceipt:
        """Credit the pot of a data set to its contributors, in the shares that they signed. Anybody may."""
        record = self.chain.dataset(dataset)
        if not self.chain.dataset_balance(dataset):
            raise TesseraError(
                f"the pot of data set {dataset} is empty: nothing was paid, or it was divided already"
            )
        participants = self.chain.participants(record.order)
        return self.writer.distribute(dataset, participants, record.shares_bps)
