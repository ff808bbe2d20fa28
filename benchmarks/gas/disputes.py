"""Challenges and demands on chain, and the gas of each step."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.gas.audited_order import (
    FALSE_ROW,
    FALSE_SHARD,
    AuditedOrder,
    OrderWithBrokenModel,
    broken_at_end,
    broken_at_start,
)
from benchmarks.gas.figures import Figure
from benchmarks.gas.generators import Generator, fitted, unfitted
from benchmarks.gas.market import ANSWER_SECONDS, ETHER, GasMarket
from benchmarks.gas.order import OrderParties, enrol
from provenance.chain.disputes import DemandKind
from provenance.chain.model_parts import store_model
from provenance.values import Address, sha256
from provenance.verify.refutation import Claim, Finding, shard_proof

COMPUTE, WHOLE, WHOLE_STORED = 1_000_000, 4_000_000, 900_000
"""Promised in gas for one row: the verifier's call alone, the transaction with the model in calldata, the transaction
with the model stored before."""
SMALL_MULTIPLICATIONS, SMALL_STORED = 40_000, 600_000
"""Promised of a generator of at most so many multiplications, its model stored before."""
VERIFIER = "of it the verifier"
_WHY_NOT_SMALL = (
    "the verifier's call keeps it, the whole transaction does not. Beside that call about 21,000 are the transaction's "
    "base, 78,000 its 6 kB of calldata (the chunk of rows and the proofs), 89,000 the money (refund, reward, damages, "
    "burning), the others proofs, revocation and reads."
)


def measure(market: GasMarket) -> list[Figure]:
    """With fitted generators, the demo's first."""
    return _measure(market, fitted())


def measure_quickly(market: GasMarket) -> list[Figure]:
    """With random generators of about the same shapes."""
    return _measure(market, unfitted())


def _measure(market: GasMarket, generators: Sequence[Generator]) -> list[Figure]:
    parties = enrol(market, len(generators[0].models))
    parties.buyer.writer.approve(market.reader.deployment.demands, 1_000 * ETHER)
    figures = []
    for generator in generators:
        chapter = f"A false row: {generator}"
        figures += Disputes(market, parties, generator, chapter).refutations()
    demo = generators[0]
    return figures + Disputes(market, parties, demo, f"Demands: {demo}").demands()


class Disputes:
    """What can be disputed of one generator's rows; every order is a new one of the same parties."""

    def __init__(self, market: GasMarket, parties: OrderParties, generator: Generator, chapter: str) -> None:
        self._market, self._parties = market, parties
        self._generator, self._chapter = generator, chapter

    def refutations(self) -> list[Figure]:
        """A false row with the model in calldata, then stored; then models that are none."""
        figures = self._calldata()
        parts, stored = self._store(self._generator.models[FALSE_SHARD])
        return [*figures, *stored, *self._stored(parts), *self._malformed()]

    def demands(self) -> list[Figure]:
        """Every demand, answered, and two that nobody answered."""
        return [*self._about_data(), *self._about_receipts()]

    def _figure(self, step: str, case: str, gas: int, limit: int | None = None) -> Figure:
        return Figure(step, case, gas, limit, self._chapter)

    def _order(self, case: str) -> AuditedOrder:
        salt = f"{self._chapter} {case}".encode()
        return AuditedOrder(self._market, self._parties, salt, self._generator.models)

    def _calldata(self) -> list[Figure]:
        walk = self._order("calldata")
        claim, finding = _claim(walk)
        committed = walk.commit_claim(claim)
        receipt, case = walk.refute(claim, finding), "model in calldata"
        return [
            self._figure("commit", "", committed.gas_used),
            self._figure("challenge", case, receipt.gas_used, WHOLE),
            self._figure(VERIFIER, case, self._market.gas_within(receipt.hash, "verifier"), COMPUTE),
        ]

    def _store(self, model: bytes) -> tuple[list[Address], list[Figure]]:
        stored = list(store_model(self._market.reader, self._parties.buyer.writer, model))
        figures = [
            self._figure("store the model", f"part {part.number} of {part.count}", part.gas)
            for part in stored
        ]
        total = sum(part.gas for part in stored)
        whole = Figure(
            "store the model", f"{len(stored)} transactions", total, None, self._chapter, len(stored)
        )
        return [part.address for part in stored], [*figures, whole]

    def _stored(self, parts: Sequence[Address]) -> list[Figure]:
        walk = self._order("stored")
        claim, finding = _claim(walk)
        walk.commit_claim(claim)
        receipt, case = walk.refute(claim, finding, parts), "model stored before"
        verifier = self._market.gas_within(receipt.hash, "verifier")
        small = self._generator.multiplications <= SMALL_MULTIPLICATIONS
        limit, why = (SMALL_STORED, _WHY_NOT_SMALL) if small else (WHOLE_STORED, "")
        return [
            Figure("challenge", case, receipt.gas_used, limit, self._chapter, argued=why),
            self._figure(VERIFIER, case, verifier, SMALL_STORED if small else COMPUTE),
        ]

    def _malformed(self) -> list[Figure]:
        model = self._generator.models[FALSE_SHARD]
        last = broken_at_end(model)
        in_calldata = (
            ("fault in the header, in calldata", broken_at_start(model)),
            ("fault in the last bias, in calldata", last),
        )
        figures = [
            self._figure("challengeModel", case, self._refute_model(case, broken))
            for case, broken in in_calldata
        ]
        case = "fault in the last bias, stored before"
        writer = self._parties.buyer.writer
        parts = [part.address for part in store_model(self._market.reader, writer, last)]
        return [*figures, self._figure("challengeModel", case, self._refute_model(case, last, parts))]

    def _refute_model(self, case: str, broken: bytes, parts: Sequence[Address] = ()) -> int:
        salt = f"{self._chapter} {case}".encode()
        walk = OrderWithBrokenModel(self._market, self._parties, salt, self._generator.models, broken)
        return walk.refute_model(walk.until_published(), parts).gas_used

    def _about_data(self) -> list[Figure]:
        walk = self._order("data")
        dataset, buyer = walk.until_published(), self._parties.buyer.writer
        shard, place = walk.shards[FALSE_SHARD], (walk.terms, walk.participants, dataset, FALSE_SHARD)
        proof, chunk = shard_proof(walk.roots, FALSE_SHARD), FALSE_ROW // shard.per_chunk
        first = buyer.demand_model(*place, walk.models)
        answered = buyer.answer_model(walk.order, FALSE_SHARD, shard.model)
        asked = buyer.demand_chunk(*place, shard.shard_root, proof, FALSE_ROW)
        shown = buyer.answer_chunk(
            walk.order, FALSE_SHARD, shard.row_width, chunk, shard.chunk(chunk), shard.proof(chunk)
        )
        buyer.demand_chunk(*place, shard.shard_root, proof, FALSE_ROW)
        self._market.skip(ANSWER_SECONDS + 1)
        buyer.expire(walk.terms, walk.participants, FALSE_SHARD)
        self._market.skip(ANSWER_SECONDS + 1)
        expired = buyer.expire(walk.terms, walk.participants, FALSE_SHARD)
        return [
            self._figure("demandModel", "", first.gas_used),
            self._figure("answerModel", "in calldata", answered.gas_used),
            self._figure("answerModelFromParts", "stored before", self._answer_from_parts()),
            self._figure("demandChunk", "", asked.gas_used),
            self._figure("answerChunk", f"{len(shard.chunk(chunk)):,} bytes", shown.gas_used),
            self._figure("expire", "about data, the shard is revoked", expired.gas_used),
        ]

    def _answer_from_parts(self) -> int:
        walk, buyer = self._order("parts"), self._parties.buyer.writer
        dataset = walk.until_published()
        stored = store_model(self._market.reader, buyer, walk.model_bytes[FALSE_SHARD])
        parts = [part.address for part in stored]
        buyer.demand_model(walk.terms, walk.participants, dataset, FALSE_SHARD, walk.models)
        return buyer.answer_model_from_parts(walk.order, FALSE_SHARD, parts).gas_used

    def _about_receipts(self) -> list[Figure]:
        walk, broker = self._order("receipts"), self._parties.broker.writer
        walk.until_seed()
        receipt = DemandKind.RECEIPT
        asked = broker.demand_step(walk.terms, walk.participants, 0, receipt, walk.models)
        answered = self._parties.nodes[0].writer.answer_receipt(*walk.receipt(0, sha256(b"root")))
        broker.demand_step(walk.terms, walk.participants, FALSE_SHARD, receipt, walk.models)
        self._market.skip(ANSWER_SECONDS + 1)
        warned = broker.expire(walk.terms, walk.participants, FALSE_SHARD)
        self._market.skip(ANSWER_SECONDS + 1)
        expired = broker.expire(walk.terms, walk.participants, FALSE_SHARD)
        return [
            self._figure("demandStep", "a receipt", asked.gas_used),
            self._figure("answerReceipt", "", answered.gas_used),
            self._figure("expire", "about a receipt, the first time", warned.gas_used),
            self._figure("expire", "about a receipt, the contributor is dropped", expired.gas_used),
        ]


def _claim(walk: AuditedOrder) -> tuple[Claim, Finding]:
    dataset, finding = walk.until_published(), walk.finding()
    return Claim(dataset, finding.shard, finding.chunk, finding.row), finding
