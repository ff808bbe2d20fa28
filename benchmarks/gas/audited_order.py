"""An order whose shards are real rows of real models, one of them false, and the evidence against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.gas.market import GasMarket
from benchmarks.gas.order import OrderParties, Walk
from provenance.chain.ports import TxReceipt
from provenance.crypto.merkle import shard_root
from provenance.exact import SPEC_VERSION
from provenance.exact.model import MlpModel, decode_model
from provenance.exact.sampler import Sampler
from provenance.record.terms import OrderTerms
from provenance.values import Address, Digest, sha256
from provenance.verify.published_shard import PublishedShard
from provenance.verify.refutation import MODEL_CHUNK, Claim, Finding, build_evidence, find_invalid_row
from tessera.errors import ServiceDownError

ROWS = 10_000
"""What the demo orders."""
FALSE_SHARD, FALSE_ROW = 1, 1_234
_SALT = sha256(b"salt")
_BATCH_ROWS = 3840


class AuditedOrder(Walk):
    """An order of which row FALSE_ROW of shard FALSE_SHARD is not the model's."""

    def __init__(
        self, market: GasMarket, parties: OrderParties, salt: bytes, models: Sequence[bytes]
    ) -> None:
        self._schema = Digest(models[FALSE_SHARD][16:48])
        super().__init__(market, parties, salt, ROWS)
        self.model_bytes = models
        self.models = [sha256(model) for model in models]
        self.shards: list[PublishedShard] = []

    def _terms(self, salt: bytes) -> OrderTerms:
        """Of the schema that the false shard's model is for."""
        return replace(super()._terms(salt), schema_digest=self._schema)

    def until_seed(self) -> None:
        """Placed, matched, committed, drawn."""
        for step in (self.place, self.match, self.commit, self.draw):
            step()

    def until_published(self) -> int:
        """The number of the published data set."""
        self.until_seed()
        self.publish()
        dataset = self.market.reader.dataset_of_order(self.order)
        if dataset is None:
            raise ServiceDownError(f"order {self.order} was published, but the chain has no data set of it")
        return dataset

    @property
    def roots(self) -> list[Digest]:
        return [shard.shard_root for shard in self.shards]

    def finding(self) -> Finding:
        """The invalid row, found as `tessera challenge --row` finds it."""
        found = find_invalid_row(self.shards[FALSE_SHARD], FALSE_ROW)
        if found is None:
            raise ServiceDownError(f"row {FALSE_ROW} was published false, but nothing false was found in it")
        return found

    def commit_claim(self, claim: Claim) -> TxReceipt:
        """The buyer's, who is the challenger; a block later it can be shown."""
        buyer = self.parties.buyer
        return buyer.writer.challenge_commit(claim.commitment(buyer.signer.address, _SALT))

    def refute(self, claim: Claim, finding: Finding, parts: Sequence[Address] = ()) -> TxReceipt:
        """Shows the committed claim, with the model in calldata or from its parts."""
        shard = self.shards[FALSE_SHARD]
        evidence = build_evidence(shard, finding, self.models, self.roots, b"", parts)
        return self.parties.buyer.writer.challenge(self.terms, self.participants, claim, evidence, _SALT)

    def refute_model(self, dataset: int, parts: Sequence[Address] = ()) -> TxReceipt:
        """Commits to and shows that the model of FALSE_SHARD is none."""
        self.commit_claim(Claim(dataset, FALSE_SHARD, MODEL_CHUNK, 0))
        model = b"" if parts else self.model_bytes[FALSE_SHARD]
        return self.parties.buyer.writer.challenge_model(
            self.terms, self.participants, dataset, FALSE_SHARD, self.models, model, parts, _SALT
        )

    def _roots(self) -> list[Digest]:
        self.shards = [self._published(i) for i in range(len(self.model_bytes))]
        return self.roots

    def _published(self, i: int) -> PublishedShard:
        model, seed, count = self.model_bytes[i], self.seed, self.participants[i].rows
        sampler = Sampler(model, seed, i)
        rows = bytearray(sampler.row_bytes(0, count, _BATCH_ROWS))
        width = sampler.model.codebook.row_width
        if i == FALSE_SHARD:
            rows[FALSE_ROW * width] ^= 1
        root = shard_root(bytes(rows), width)
        return PublishedShard(
            *(i, count, self.models[i], root, seed, SPEC_VERSION, model, bytes(rows)),
            schema_digest=Digest(model[16:48]),
            is_in_class=True,
        )


class OrderWithBrokenModel(AuditedOrder):
    """An order of which the model of FALSE_SHARD is none; what its rows are does not matter then."""

    def __init__(
        self, market: GasMarket, parties: OrderParties, salt: bytes, models: Sequence[bytes], broken: bytes
    ) -> None:
        super().__init__(market, parties, salt, [*models[:FALSE_SHARD], broken, *models[FALSE_SHARD + 1 :]])

    def _roots(self) -> list[Digest]:
        return [sha256(b"root %d" % i) for i in range(len(self.models))]


def broken_at_start(model: bytes) -> bytes:
    """a_max is neither 127 nor 255."""
    return model[:5] + b"\x01" + model[6:]


def broken_at_end(model: bytes) -> bytes:
    """The bound of 2^24 does not hold for the last code: nothing but the last bias is wrong."""
    decoded = decode_model(model)
    if isinstance(decoded, MlpModel):
        bias = decoded.output.bias.copy()
        bias[-1] = 2**24
        return replace(decoded, output=replace(decoded.output, bias=bias)).encode()
    step = decoded.steps[-1]
    bias = step.output_bias.copy()
    bias[-1] = 2**24
    return replace(decoded, steps=(*decoded.steps[:-1], replace(step, output_bias=bias))).encode()
