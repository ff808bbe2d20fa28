"""Checks of the record on chain and of the manifest against it. They need no file but the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.chain.errors import UnknownDatasetError
from provenance.chain.ports import DatasetOnChain, DatasetStatus, OrderState
from provenance.errors import ProvenanceError
from provenance.exact.versions import sampler_for
from provenance.record.collection import Generation, bindings
from provenance.record.manifest import CONTRACT_ROLES
from provenance.record.receipts import ShardReceipt
from provenance.record.terms import participants_digest
from provenance.values import Digest, keccak256, sha256
from provenance.verify.case import Case, CheckFailedError, require

_FALLEN = {
    int(DatasetStatus.REVOKED): "it was revoked, as false or because its bytes were withheld",
    int(DatasetStatus.FLAGGED): "it was flagged, because a data set that it derives from was revoked",
}


def record_on_chain(case: Case) -> str:
    """The events join to the digest that the registry stores, and nobody refuted the record."""
    record = case.record
    require(
        record.status == DatasetStatus.VALID,
        f"the registry gives it status {record.status}, expected {int(DatasetStatus.VALID)}: "
        f"{_FALLEN.get(record.status, 'this release does not know what that means')}",
    )
    found = record_digest(record)
    require(
        found == record.record_digest,
        f"the events give record digest {found}, the registry stores {record.record_digest}",
    )
    require(
        case.order.state in (OrderState.PUBLISHED, OrderState.SETTLED),
        f"the order is {case.order.state.name}, expected PUBLISHED or SETTLED",
    )
    return f"recorded in block {record.block}, order {case.order.state.name.lower()}, not revoked"


def manifest_digest(case: Case) -> str:
    """The manifest in the store has the digest on chain."""
    found = sha256(case.manifest_bytes)
    expected = case.record.manifest_digest
    require(found == expected, f"its SHA-256 is {found}, the chain says {expected}")
    return f"{len(case.manifest_bytes):,} bytes, SHA-256 {found}"


def manifest_form(case: Case) -> str:
    """Canonical, of a version this release knows, about this market and this order."""
    if isinstance(case.parsed_manifest, ProvenanceError):
        raise case.parsed_manifest
    manifest = case.parsed_manifest
    record, deployment = case.record, case.deployment
    sampler_for(manifest.spec_version)
    pairs = (
        ("specification version", manifest.spec_version, record.spec_version),
        ("chain id", manifest.chain_id, deployment.chain_id),
        ("order", manifest.order, record.order),
        ("data-set root", manifest.dataset_root, record.dataset_root),
        ("score digest", manifest.score.file.plain_sha256, record.score_digest),
        ("shares", manifest.shares_bps, record.shares_bps),
        ("parents", manifest.generation.parents, record.parents),
        ("depth", manifest.generation.depth, record.depth),
        ("real-data fraction", manifest.generation.real_fraction_micro, record.real_fraction_micro),
        ("contracts", dict(manifest.contracts), {role: deployment.address(role) for role in CONTRACT_ROLES}),
    )
    for name, found, expected in pairs:
        require(found == expected, f"its {name} is {found}, the chain says {expected}")
    return f"canonical, specification version {manifest.spec_version}"


def order_terms(case: Case) -> str:
    """The terms in the manifest are the ones that the escrow holds money for."""
    terms = case.manifest.terms
    found = terms.order_id(case.deployment.domain)
    require(found == case.record.order, f"their digest is {found}, the order on chain is {case.record.order}")
    require(
        terms.rows == case.record.rows, f"they order {terms.rows} rows, the record has {case.record.rows}"
    )
    return f"EIP-712 digest {found}"


def terms_signature(case: Case) -> str:
    """The buyer signed the terms."""
    manifest = case.manifest
    buyer = manifest.terms.buyer
    if case.ledger.is_contract(buyer):
        return f"{buyer} is a contract; the chain asked it (ERC-1271) when the order was placed"
    case.require_signed(manifest.terms, manifest.terms_signature, buyer, "the order")
    return f"signed by {buyer}"


def collection_and_request(case: Case) -> str:
    """The documents in the manifest are the ones whose digests the buyer signed."""
    manifest = case.manifest
    for each in bindings(manifest.terms, manifest.collection, manifest.request):
        require(each.holds, f"the documents give {each.member} {each.expected}, the terms say {each.found}")
    asked = "no conditions" if case.conditions is None else f"conditions {case.conditions.digest}"
    return f"collection {manifest.collection.name!r}, family {manifest.collection.family}, {asked}"


def participants(case: Case) -> str:
    """The participants are the matched ones, each within its own signed acceptance."""
    manifest, expected = case.manifest, case.order.participants_digest
    found = participants_digest(manifest.participant_list())
    require(found == expected, f"their digest is {found}, the escrow says {expected}")
    total = sum(each.rows for each in manifest.participants)
    require(total == manifest.terms.rows, f"they promise {total} rows, the terms order {manifest.terms.rows}")
    for each in manifest.participants:
        require(
            each.rows <= each.max_rows, f"{each.contributor} has {each.rows} rows, accepted {each.max_rows}"
        )
        if not case.ledger.is_contract(each.contributor):
            message = each.message(manifest.order)
            case.require_signed(message, each.acceptance, each.contributor, "an acceptance")
    return f"{len(manifest.participants)} contributors, each signed"


def models_committed(case: Case) -> str:
    """The models are the ones that were fixed on chain before the seed existed."""
    manifest, commitment = case.manifest, case.commitment
    models = tuple(shard.model_digest for shard in manifest.shards)
    found = keccak256(b"".join(models))
    require(
        found == commitment.models_digest,
        f"their digest is {found}, the chain committed to {commitment.models_digest}",
    )
    require(
        commitment.commit_block < commitment.target_block,
        f"committed in block {commitment.commit_block}, after the seed's block {commitment.target_block}",
    )
    for shard in manifest.shards:
        if not case.ledger.is_contract(shard.contributor):
            message = shard.commitment(manifest.order)
            case.require_signed(
                message, shard.commit_signature, shard.contributor, f"the model of shard {shard.shard}"
            )
    return f"{len(models)} models in block {commitment.commit_block}, each signed"


def seed(case: Case) -> str:
    """seed = keccak256(abi.encode(order, modelsDigest, block hash)), drawn for the order."""
    manifest, commitment = case.manifest, case.commitment
    draw = manifest.seed
    pairs = (
        ("seed", draw.seed, commitment.seed),
        ("recorded seed", case.record.seed, commitment.seed),
        ("target block", draw.target_block, commitment.target_block),
        ("number of draws", draw.draws, commitment.draws),
    )
    for name, found, expected in pairs:
        require(found == expected, f"the {name} is {found}, the chain says {expected}")
    computed = keccak256(manifest.order + commitment.models_digest + draw.block_hash)
    require(computed == draw.seed, f"order, models and block hash give {computed}, the seed is {draw.seed}")
    on_chain = case.ledger.block_hash(draw.target_block)
    if on_chain is not None:
        require(
            on_chain == draw.block_hash,
            f"the manifest's hash of block {draw.target_block} is {draw.block_hash}, not {on_chain}",
        )
    source = "as the node has it" if on_chain is not None else "from the manifest; the node no longer has it"
    return f"hash of block {draw.target_block} {source}; {draw.draws} draw(s)"


def shard_records(case: Case) -> str:
    """Manifest and chain say the same of every shard."""
    manifest, record = case.manifest, case.record
    require(
        len(manifest.shards) == len(manifest.participants) == len(record.shards),
        f"{len(manifest.shards)} shards and {len(manifest.participants)} participants in the manifest, "
        f"{len(record.shards)} shards on chain",
    )
    for index, (shard, chain, member) in enumerate(
        zip(manifest.shards, record.shards, manifest.participants, strict=True)
    ):
        pairs = (
            ("number", (shard.shard, chain.shard), (index, index)),
            ("contributor", (shard.contributor, member.contributor), (chain.contributor,) * 2),
            ("row count", (shard.rows, member.rows), (chain.rows,) * 2),
            ("model digest", shard.model_digest, chain.model_digest),
            ("root", shard.shard_root, chain.shard_root),
            ("epsilon", shard.epsilon_micro, chain.epsilon_micro),
            ("delta", shard.delta_e12, chain.delta_e12),
            ("content digest", shard.content.digest, chain.content_digest),
        )
        for name, found, expected in pairs:
            require(found == expected, f"shard {index}: its {name} is {found}, the chain says {expected}")
    total = sum(shard.rows for shard in manifest.shards)
    require(total == record.rows, f"the shards have {total} rows together, the chain says {record.rows}")
    return f"{len(manifest.shards)} shards, {total:,} rows"


def receipts(case: Case) -> str:
    """Every contributor signed for its shard: model, seed, rows, root, privacy, files."""
    manifest = case.manifest
    require(
        len(manifest.shards) == len(case.record.shards),
        f"{len(manifest.shards)} shards in the manifest, {len(case.record.shards)} on chain",
    )
    for shard, chain in zip(manifest.shards, case.record.shards, strict=True):
        message = shard.receipt(manifest.order, case.record.seed)
        if case.ledger.is_contract(shard.contributor):
            continue
        for signature in (shard.receipt_signature, chain.receipt):
            case.require_signed(message, signature, shard.contributor, f"the receipt of shard {shard.shard}")
    return f"{len(manifest.shards)} receipts"


def generation(case: Case) -> str:
    """Parents are those of the signed collection; depth and real fraction follow from their records."""
    record, collection = case.record, case.manifest.collection
    require(
        record.parents == collection.parents,
        f"the record's parents are {list(record.parents)}, the collection names {list(collection.parents)}",
    )
    parents = []
    for parent in record.parents:
        try:
            parents.append(case.ledger.dataset(parent))
        except UnknownDatasetError as error:
            raise CheckFailedError(f"parent {parent} is not recorded: {error}") from error
    expected = Generation.derived(collection.own_real_micro, parents)
    pairs = (
        ("depth", record.depth, expected.depth),
        ("real fraction", record.real_fraction_micro, expected.real_fraction_micro),
    )
    for name, found, right in pairs:
        require(found == right, f"the record says {name} {found}, own part and parents give {right}")
    own = f"{collection.own_real_micro / 1e4:g} % of the rows declared real"
    return f"depth {expected.depth}, real fraction {expected.real_fraction_micro / 1e4:g} % given {own}"


def record_digest(record: DatasetOnChain) -> Digest:
    """keccak256(abi.encode(order, seed, datasetRoot, manifestDigest, scoreDigest, specVersion,
    realFractionMicro, parents, sharesBps, shards)) as documented in IDatasetRegistry.datasetOf.
    """
    shards = [
        keccak256(
            bytes(12)
            + shard.contributor
            + ShardReceipt(
                record.order,
                shard.shard,
                shard.model_digest,
                record.seed,
                shard.rows,
                shard.shard_root,
                shard.epsilon_micro,
                shard.delta_e12,
                shard.content_digest,
            ).struct_hash()
        )
        for shard in record.shards
    ]
    fixed = [
        bytes(record.order),
        bytes(record.seed),
        bytes(record.dataset_root),
        bytes(record.manifest_digest),
        bytes(record.score_digest),
        _word(record.spec_version),
        _word(record.real_fraction_micro),
    ]
    arrays = [
        _array([_word(parent) for parent in record.parents]),
        _array([_word(share) for share in record.shares_bps]),
        _array(shards),
    ]
    position = 32 * (len(fixed) + len(arrays))
    offsets = []
    for array in arrays:
        offsets.append(_word(position))
        position += len(array)
    return keccak256(b"".join(fixed + offsets + arrays))


def _array(words: Sequence[bytes]) -> bytes:
    return _word(len(words)) + b"".join(words)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
