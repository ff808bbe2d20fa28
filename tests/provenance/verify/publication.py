"""A small data set published in memory, honest until a test changes something.

Two contributors, tiny random models, every signature real. A Builder can be told to lie at a given place;
whatever the contracts would let pass is signed and recorded consistently, so that only verification tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from generator.evaluation.contribution import score_shards
from generator.marginals.workload import Workload
from provenance.canonical import encode
from provenance.chain.deployment import CONTRACTS, Deployment
from provenance.chain.ports import (
    CommitmentOnChain,
    DatasetOnChain,
    DatasetStatus,
    EvaluationOnChain,
    ExcusedEvaluation,
    OrderOnChain,
    OrderState,
    ShardOnChain,
)
from provenance.crypto.merkle import dataset_root, shard_root
from provenance.crypto.seal import (
    SCORE_SHARD,
    DeliveryKey,
    file_label,
    key_commitment,
    new_content_key,
    seal_file,
    wrap_key,
)
from provenance.crypto.signing import Signer
from provenance.exact.codebook import Codebook
from provenance.exact.model import HiddenLayer, MlpModel, OutputLayer, encode_model
from provenance.exact.rows import decode_rows
from provenance.exact.sampler import Sampler
from provenance.record.collection import Collection, Generation, Request
from provenance.record.contribution import ShardEvidence, evidence_rows
from provenance.record.manifest import (
    CONTRACT_ROLES,
    Manifest,
    ManifestEvaluation,
    ManifestParticipant,
    ManifestShard,
    SeedDraw,
)
from provenance.record.receipts import (
    Acceptance,
    ContentFile,
    Evaluation,
    ScoreContent,
    ShardContent,
    shares_digest,
)
from provenance.record.terms import OPEN_DELIVERY_KEY, OrderTerms, parents_digest, participants_digest
from provenance.store.unixfs import cid_of
from provenance.table.conditions import Conditions, RowConditions
from provenance.table.conditions_bytes import conditions_digest
from provenance.table.schema import Schema
from provenance.values import Address, Cid, Digest, keccak256, sha256
from provenance.verify.record_checks import record_digest
from tests.memory import MemoryChain, MemoryStore
from tests.provenance.salts import commitment_of, salt_of

DATASET = 7
NONE = Digest(bytes(32))
ROWS = (9, 14)
BUYER, BROKER = Signer(b"\x11" * 32), Signer(b"\x12" * 32)
NODES = (Signer(b"\x21" * 32), Signer(b"\x22" * 32))
KEY = DeliveryKey(b"\x31" * 32)
SCHEMA = Schema.parse(
    {
        "format": "tessera-schema/1",
        "name": "toy",
        "target": None,
        "columns": [
            {
                "name": "age",
                "type": "integer",
                "minimum": 0,
                "maximum": 299,
                "multipleOf": 1,
                "nullable": False,
            },
            {"name": "kind", "type": "string", "enum": ["a", "b", "c"], "nullable": True, "missing": "?"},
        ],
    }
)
CODEBOOK = Codebook(
    code_counts=(3, 4),
    value_widths=SCHEMA.value_widths,
    low=np.array([0, 100, 200, 0, 1, 2, 3]),
    width=np.array([100, 100, 100, 1, 1, 1, 1]),
)
DEPLOYMENT = Deployment.of(
    31337, 1, {role: Address(bytes([n]) * 20) for n, role in enumerate(CONTRACTS, 0xA1)}
)


def tiny_model(number: int, neurons: int = 5) -> bytes:
    """Model bytes of a random net of 4 latent inputs and so many hidden neurons."""
    rng = np.random.default_rng(number)
    hidden = HiddenLayer(
        rng.integers(-20, 20, (neurons, 4), dtype=np.int8),
        rng.integers(-900, 900, neurons, dtype=np.int32),
        np.full(neurons, 3, dtype=np.uint8),
    )
    output = OutputLayer(
        rng.integers(-20, 20, (7, neurons), dtype=np.int8),
        np.full(7, 4, dtype=np.uint8),
        rng.integers(-90, 90, 7, dtype=np.int32),
    )
    return encode_model(MlpModel(127, 4, SCHEMA.digest, CODEBOOK, (hidden,), output))


MODELS = (tiny_model(1), tiny_model(2))


@dataclass
class ShardDraft:
    """What one contributor delivers; tests change it before it is signed."""

    model: bytes
    rows: bytes
    row_count: int
    epsilon_micro: int = 2_000_000
    sealed_under: DeliveryKey = KEY
    in_clear: bool = False
    committed_key: bytes | None = None
    """Another key than the one that the files are sealed with."""
    releases_key: bool = True


@dataclass
class Publication:
    """A published data set: the chain, the store and the manifest behind it."""

    chain: MemoryChain
    store: MemoryStore
    manifest: Manifest
    key: DeliveryKey | None

    def republish(self, manifest: Manifest) -> Publication:
        """The same data set under another manifest that the broker recorded on chain."""
        self.store.put(manifest.encode())
        record = replace(self.chain.datasets[DATASET], manifest_digest=manifest.digest)
        chain = replace(self.chain, datasets={**self.chain.datasets, DATASET: sealed(record)})
        return Publication(chain, self.store, manifest, self.key)

    def rerecord(self, **changes: Any) -> Publication:
        """The same manifest under another record on chain (a node that lies consistently)."""
        record = replace(self.chain.datasets[DATASET], **changes)
        return replace(
            self, chain=replace(self.chain, datasets={**self.chain.datasets, DATASET: sealed(record)})
        )

    def files(self) -> list[ContentFile]:
        """Every published file but the manifest."""
        shards = self.manifest.shards
        files = [file for shard in shards for file in (shard.content.rows, shard.content.model)]
        return [*files, self.manifest.score.file]

    def released_keys(self) -> list[Cid]:
        """Files of the wrapped keys that were released."""
        cids = [shard.content.wrapped_key_cid for shard in self.manifest.shards]
        return [cid for cid in cids if cid is not None and self.store.has(cid)]

    def contents(self) -> list[Cid]:
        """Everything in the store but the manifest."""
        return [*(file.cid for file in self.files()), *self.released_keys()]


@dataclass
class Builder:
    """Builds publications. `edit_drafts` and `edit_score` run before anything is signed."""

    is_open: bool = False
    edit_drafts: Callable[[list[ShardDraft]], None] = lambda drafts: None
    edit_score: Callable[[dict[str, Any]], None] = lambda document: None
    epsilon_micro: int = 3_000_000
    state: OrderState = OrderState.SETTLED
    store: MemoryStore = field(default_factory=MemoryStore)
    deployment: Deployment = DEPLOYMENT
    terms_changes: dict[str, Any] = field(default_factory=dict)
    collection_changes: dict[str, Any] = field(default_factory=dict)
    parents: tuple[DatasetOnChain, ...] = ()
    """Records that the collection derives from; its `parents` are a change of the collection."""
    draw: SeedDraw | None = None
    models: tuple[bytes, ...] = MODELS
    conditions: Conditions | None = None
    commits_to_keys: bool = True
    """Data sets that were made before keys were committed to have no commitments."""
    releases_keys: bool = True
    """Data sets of before have their wrapped keys in the content documents."""
    dropped: frozenset[int] = frozenset()
    """Contributors that fell silent before the commit: they have no shard."""
    undelivered: frozenset[int] = frozenset()
    """Contributors whose receipt stands on chain alone: what they have is in `withheld`."""
    withheld: MemoryStore = field(default_factory=MemoryStore)
    edit_content: Callable[[int, ShardContent], ShardContent] = lambda _shard, content: content
    """What the contributor of a shard signs instead of the true content document."""
    convicted: frozenset[int] = frozenset()
    """Shards that were shown to be false, or withheld, after the publication; not all that there are."""
    training: Digest | None = None
    """The order from whose stock it is sold."""
    privacy: dict[str, Any] = field(default_factory=lambda: {"unit": "row"})
    absent: dict[int, ExcusedEvaluation] = field(default_factory=dict)
    """How the chain excused contributors that signed no evaluation."""

    def build_seed(self) -> Digest:
        """The seed that a publication will have."""
        return self._draw(self.terms().order_id(self.deployment.domain)).seed

    def _draw(self, order: Digest) -> SeedDraw:
        salts = tuple(NONE if k in self.dropped else salt_of(k) for k in range(len(self.models)))
        draw = SeedDraw(Digest(bytes(32)), 42, 1, sha256(b"block 42"), salts)
        return self.draw or replace(draw, seed=draw.computed(order, self._models_digest()))

    def _models_digest(self) -> Digest:
        return keccak256(b"".join(self._model_digests()))

    def _model_digests(self) -> tuple[Digest, ...]:
        return tuple(NONE if k in self.dropped else sha256(model) for k, model in enumerate(self.models))

    @property
    def _published(self) -> list[int]:
        return [k for k in range(len(NODES)) if k not in self.dropped]

    @property
    def _delivered(self) -> list[int]:
        return [k for k in self._published if k not in self.undelivered]

    def build(self) -> Publication:
        terms = self.terms()
        domain = self.deployment.domain
        order = terms.order_id(domain)
        models = list(self.models)
        draw = self._draw(order)
        seed = draw.seed
        drafts = [
            ShardDraft(model, self._sampler(model, seed, k).row_bytes(0, ROWS[k]), ROWS[k])
            for k, model in enumerate(models)
        ]
        self.edit_drafts(drafts)
        shards = tuple(
            self._shard(
                order, seed, k, drafts[k], self._signed_content(order, k, drafts[k]), sha256(models[k])
            )
            for k in self._published
        )
        roots = {shard.shard: shard.shard_root for shard in shards}
        root = dataset_root([roots.get(k, NONE) for k in range(len(NODES))])
        document = self._score(drafts, seed)
        paid = dict(zip(self._delivered, document["sharesBps"], strict=True))
        whole = sum(ROWS[k] for k in self._published)
        paid |= {k: 10_000 * ROWS[k] // (2 * whole) for k in self.undelivered}
        shares = tuple(paid.get(k, 0) for k in range(len(NODES)))
        score = self._score_content(order, encode(document))
        evaluations = tuple(
            ManifestEvaluation(
                node.address,
                score_micro,
                shares_digest(shares),
                node.sign_typed(
                    domain,
                    Evaluation(order, root, score_micro, shares_digest(shares), score.file.plain_sha256),
                ),
            )
            for k, (node, score_micro) in enumerate(zip(NODES, (910_000, 930_000), strict=True))
            if k in self._published and k not in self.absent
        )
        manifest = Manifest(
            spec_version=1,
            chain_id=self.deployment.chain_id,
            contracts={role: self.deployment.address(role) for role in CONTRACT_ROLES},
            order=order,
            terms=terms,
            terms_signature=BUYER.sign_typed(domain, terms),
            collection=self._collection(),
            request=self._request(),
            participants=tuple(
                ManifestParticipant(
                    node.address, rows, 20, node.sign_typed(domain, Acceptance(order, node.address, 20))
                )
                for node, rows in zip(NODES, ROWS, strict=True)
            ),
            seed=draw,
            shards=shards,
            dataset_root=root,
            evaluation=evaluations,
            score=score,
            shares_bps=shares,
            privacy=self.privacy,
            broker_saw=("nothing",),
            generation=Generation.derived(self._collection().own_real_micro, self.parents),
        )
        self.store.put(manifest.encode())
        return Publication(self._chain(manifest), self.store, manifest, None if self.is_open else KEY)

    def _request(self) -> Request:
        return Request.of("a test", self.conditions, self.training)

    def _sampler(self, model: bytes, seed: Digest, k: int) -> Sampler:
        asked = None if self.conditions is None else RowConditions(self.conditions, sum(ROWS[:k]))
        return Sampler(model, seed, k, conditions=asked)

    def _collection(self) -> Collection:
        collection = Collection(
            "toy", "Toy", SCHEMA, "marginal", "private", 2, 10, self.epsilon_micro, {"rounds": 3}
        )
        return replace(collection, royalty_bps=250, **self.collection_changes)

    def terms(self) -> OrderTerms:
        terms = OrderTerms(
            buyer=BUYER.address,
            broker=BROKER.address,
            collection=self._collection().digest,
            request=self._request().digest,
            delivery_key=OPEN_DELIVERY_KEY if self.is_open else KEY.public,
            rows=sum(ROWS),
            epsilon_micro=self.epsilon_micro,
            delta_e12=10_000_000,
            min_score_micro=900_000,
            min_contributors=2,
            max_contributors=3,
            broker_fee_bps=500,
            match_by=1000,
            deliver_by=2000,
            challenge_seconds=10,
            answer_seconds=60,
            price=230,
            stake=920,
            bond=6,
            royalty_bps=250,
            conditions=conditions_digest(self.conditions),
            parents=parents_digest(self._collection().parents),
            schema_digest=SCHEMA.digest,
            size_class=1,
            spec_version=1,
            own_real_micro=self._collection().own_real_micro,
            indivisible=False,
            salt=sha256(b"salt"),
        )
        return replace(terms, **self.terms_changes)

    def _content(self, order: Digest, k: int, draft: ShardDraft) -> ShardContent:
        if self.is_open or draft.in_clear:
            return ShardContent(
                self._put(draft.rows, draft.rows), self._put(draft.model, draft.model), None, {}
            )
        key, to = new_content_key(), draft.sealed_under
        rows = seal_file(key, draft.rows, file_label(order, k, "rows"))
        model = seal_file(key, draft.model, file_label(order, k, "model"))
        wrapped = wrap_key(key, to.public, order, k)
        commitment = key_commitment(draft.committed_key or key, order, k) if self.commits_to_keys else None
        files = self._put(draft.rows, rows), self._put(draft.model, model)
        if not (self.releases_keys and self.commits_to_keys):
            return ShardContent(*files, wrapped, {"unit": "row"}, commitment)
        if draft.releases_key:
            self.store.put(wrapped)
        return ShardContent(*files, None, {"unit": "row"}, commitment, cid_of(wrapped))

    def _put(self, plain: bytes, published: bytes) -> ContentFile:
        self.store.put(published)
        return ContentFile(cid_of(published), len(published), sha256(published), sha256(plain), len(plain))

    def _signed_content(self, order: Digest, k: int, draft: ShardDraft) -> ShardContent | Digest:
        """Of an undelivered shard the digest; its files and the document that names them lie elsewhere."""
        if k not in self.undelivered:
            return self.edit_content(k, self._content(order, k, draft))
        content = self.edit_content(k, replace(self, store=self.withheld)._content(order, k, draft))
        self.withheld.put(content.encode())
        return content.digest

    def _shard(
        self,
        order: Digest,
        seed: Digest,
        k: int,
        draft: ShardDraft,
        content: ShardContent | Digest,
        committed: Digest,
    ) -> ManifestShard:
        node, domain = NODES[k], self.deployment.domain
        shard = ManifestShard(
            shard=k,
            contributor=node.address,
            rows=draft.row_count,
            model_digest=committed,
            commit_signature=node.sign_typed(domain, commitment_of(order, k, committed)),
            shard_root=shard_root(whole_rows(draft.rows), CODEBOOK.row_width),
            epsilon_micro=draft.epsilon_micro,
            delta_e12=10_000_000,
            signed_content=content,
            receipt_signature=node.sign_typed(domain, Acceptance(order, node.address, 1)),
        )
        return replace(shard, receipt_signature=node.sign_typed(domain, shard.receipt(order, seed)))

    def _score(self, drafts: list[ShardDraft], seed: Digest) -> dict[str, Any]:
        pairs = Workload(CODEBOOK.code_counts, ((0, 1),))
        evidence, pool = [], np.zeros(12, dtype=np.int64)
        for k in self._delivered:
            draft = drafts[k]
            values = decode_rows(whole_rows(draft.rows), CODEBOOK.value_widths)
            rows = len(values)
            if self.conditions is not None:
                values = Sampler(MODELS[k], seed, k).values(0, rows)
            following = Sampler(MODELS[k], seed, k).values(rows, evidence_rows(rows) - rows)
            counts = toy_counts(values)
            stream = counts + toy_counts(following)
            noise = np.random.default_rng(k).integers(-3, 4, 12)
            evidence.append(ShardEvidence(rows, 400, stream, 40 * counts + noise, np.array([4])))
            pool += counts
        document = score_shards(evidence, pairs, pool, [ROWS[k] for k in sorted(self.undelivered)]).document
        document = {key: [list(v) if isinstance(v, tuple) else v for v in value] if isinstance(value, list) else value
                    for key, value in document.items()}  # fmt: skip
        self.edit_score(document)
        return document

    def _score_content(self, order: Digest, document: bytes) -> ScoreContent:
        if self.is_open:
            return ScoreContent(self._put(document, document), None)
        key = new_content_key()
        sealed_bytes = seal_file(key, document, file_label(order, SCORE_SHARD, "score"))
        wrapped = wrap_key(key, KEY.public, order, SCORE_SHARD)
        committed = key_commitment(key, order, SCORE_SHARD) if self.commits_to_keys else None
        return ScoreContent(self._put(document, sealed_bytes), wrapped, committed)

    def _chain(self, manifest: Manifest) -> MemoryChain:
        order = manifest.order
        shards = tuple(
            ShardOnChain(
                s.shard, s.contributor, s.model_digest, s.shard_root, s.rows, s.epsilon_micro, s.delta_e12,
                s.content_digest, s.receipt_signature,
            )
            for s in manifest.shards
        )  # fmt: skip
        record = DatasetOnChain(
            id=DATASET,
            order=order,
            manifest_digest=manifest.digest,
            record_digest=Digest(bytes(32)),
            dataset_root=manifest.dataset_root,
            seed=manifest.seed.seed,
            score_digest=manifest.score.file.plain_sha256,
            rows=sum(shard.rows for shard in manifest.shards),
            epsilon_micro=2_000_000,
            delta_e12=10_000_000,
            depth=manifest.generation.depth,
            spec_version=1,
            real_fraction_micro=manifest.generation.real_fraction_micro,
            royalty_bps=manifest.terms.royalty_bps,
            parents=manifest.generation.parents,
            shares_bps=manifest.shares_bps,
            published_at=1500,
            status=DatasetStatus.REDUCED if self.convicted else DatasetStatus.VALID,
            owner=BUYER.address,
            block=50,
            transaction=sha256(b"transaction"),
            shards=shards,
            evaluations=tuple(
                EvaluationOnChain(e.contributor, e.score_micro, e.signature) for e in manifest.evaluation
            ),
            revoked=self.convicted,
        )
        escrow = OrderOnChain(
            order,
            self.state,
            1500,
            participants_digest(manifest.participant_list()),
            shares_digest(manifest.shares_bps),
            6,
        )
        commitment = CommitmentOnChain(
            *(order, self._models_digest(), 40, 42, 1, manifest.seed.seed, self._model_digests(), ()),
            revealed=manifest.seed.salts,
        )
        return MemoryChain(
            self.deployment,
            block=60,
            orders={order: escrow},
            commitments={order: commitment},
            datasets={DATASET: sealed(record), **{each.id: each for each in self.parents}},
            block_hashes={42: manifest.seed.block_hash},
            shown_evaluations={(order, k): each for k, each in self.absent.items()},
        )


def toy_counts(values: np.ndarray) -> np.ndarray:
    """Counts int64[12] of the one table over grid indices int64[rows, 2]."""
    codes = np.minimum(values[:, 0] // 100, 2) * 4 + np.minimum(values[:, 1], 3)
    return np.bincount(codes, minlength=12)


def whole_rows(data: bytes) -> bytes:
    """The bytes without a last row that is cut."""
    return data[: len(data) // CODEBOOK.row_width * CODEBOOK.row_width]


def sealed(record: DatasetOnChain) -> DatasetOnChain:
    """The record under its own digest, as the registry would store it."""
    return replace(record, record_digest=record_digest(record))
