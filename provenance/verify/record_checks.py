"""Checks of the record on chain and of the manifest against it. They need no file but the manifest."""

from __future__ import annotations

from collections.abc import Sequence

from provenance.chain.ports import DatasetOnChain, DatasetStatus, OrderState, ShardOnChain
from provenance.crypto.signing import recover
from provenance.crypto.typed_data import TypedMessage
from provenance.errors import ProvenanceError
from provenance.exact.sampler import sampler_for
from provenance.record.collection import Generation, bindings
from provenance.record.manifest import CONTRACT_ROLES
from provenance.record.receipts import ShardReceipt
from provenance.record.terms import FirstOrderTerms, participants_digest
from provenance.units import MICRO, percent
from provenance.values import Address, Digest, keccak256, sha256
from provenance.verify.certificate import CheckFailedError, require
from provenance.verify.evidence import Evidence
from provenance.verify.opening import Absent

_NO_SHARD = Digest(bytes(32))
_FALLEN = {
    int(DatasetStatus.REVOKED): "it was revoked, as false or because its bytes were withheld",
    int(DatasetStatus.FLAGGED): "it was flagged, because a data set that it derives from was revoked",
}


def record_on_chain(evidence: Evidence) -> str:
    """The events join to the digest that the registry stores, and nobody refuted the record, or what is left of it."""
    record = evidence.record
    require(
        record.stands,
        f"the registry gives it status {record.status}, expected {int(DatasetStatus.VALID)} or "
        f"{int(DatasetStatus.REDUCED)}: {_FALLEN.get(record.status, 'this release does not know what that means')}",
    )
    published = {shard.shard for shard in record.shards}
    is_reduced = record.status == DatasetStatus.REDUCED
    require(
        is_reduced == bool(record.revoked) and record.revoked <= published and record.revoked != published,
        f"it is {'reduced' if is_reduced else 'whole'} by the registry, by events shards {sorted(record.revoked)} of "
        f"{sorted(published)} were revoked",
    )
    found = record_digest(record)
    require(
        found == record.record_digest,
        f"the events give record digest {found}, the registry stores {record.record_digest}",
    )
    require(
        evidence.order.state in (OrderState.PUBLISHED, OrderState.SETTLED),
        f"the order is {evidence.order.state.name}, expected PUBLISHED or SETTLED",
    )
    revoked = ", ".join(map(str, sorted(record.revoked)))
    standing = f"shard {revoked} revoked, the others stand" if revoked else "not revoked"
    feed = "no uptime feed" if evidence.uptime_feed is None else f"uptime feed {evidence.uptime_feed}"
    return f"recorded in block {record.block}, order {evidence.order.state.name.lower()}, {standing}; {feed}"


def manifest_digest(evidence: Evidence) -> str:
    """The manifest in the store has the digest on chain."""
    if isinstance(evidence.manifest_file, Absent):
        raise CheckFailedError(evidence.manifest_file.words)
    found = sha256(evidence.manifest_file)
    expected = evidence.record.manifest_digest
    require(found == expected, f"its SHA-256 is {found}, the chain says {expected}")
    return f"{len(evidence.manifest_file):,} bytes, SHA-256 {found}"


def manifest_form(evidence: Evidence) -> str:
    """Canonical, of a version this release knows, about this market and this order."""
    if isinstance(evidence.parsed_manifest, ProvenanceError):
        raise evidence.parsed_manifest
    manifest = evidence.parsed_manifest
    record, deployment = evidence.record, evidence.deployment
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


def order_terms(evidence: Evidence) -> str:
    """The terms in the manifest are the ones that the escrow holds money for."""
    terms = evidence.manifest.terms
    found = terms.order_id(evidence.deployment.domain)
    require(
        found == evidence.record.order,
        f"their digest is {found}, the order on chain is {evidence.record.order}",
    )
    delivered = evidence.record.rows
    require(delivered <= terms.rows, f"they order {terms.rows} rows, the record has {delivered}")
    missing = terms.rows - delivered
    less = f"; {missing:,} of {terms.rows:,} rows were not delivered and not paid" if missing else ""
    return f"EIP-712 digest {found}{less}"


def terms_signature(evidence: Evidence) -> str:
    """The buyer signed the terms."""
    manifest = evidence.manifest
    buyer = manifest.terms.buyer
    if buyer in evidence.contract_accounts:
        return f"{buyer} is a contract; the chain asked it (ERC-1271) when the order was placed"
    require_signed(evidence, manifest.terms, manifest.terms_signature, buyer, "the order")
    return f"signed by {buyer}"


def collection_and_request(evidence: Evidence) -> str:
    """The documents in the manifest are the ones whose digests the buyer signed."""
    manifest = evidence.manifest
    for each in bindings(manifest.terms, manifest.collection, manifest.request):
        require(each.holds, f"the documents give {each.member} {each.expected}, the terms say {each.found}")
    asked = "no conditions" if evidence.conditions is None else f"conditions {evidence.conditions.digest}"
    return f"collection {manifest.collection.name!r}, family {manifest.collection.family}, {asked}"


def participants(evidence: Evidence) -> str:
    """The participants are the matched ones, each within its own signed acceptance."""
    manifest, expected = evidence.manifest, evidence.order.participants_digest
    found = participants_digest(manifest.participant_list())
    require(found == expected, f"their digest is {found}, the escrow says {expected}")
    total = sum(each.rows for each in manifest.participants)
    require(total == manifest.terms.rows, f"they promise {total} rows, the terms order {manifest.terms.rows}")
    for each in manifest.participants:
        require(
            each.rows <= each.max_rows, f"{each.contributor} has {each.rows} rows, accepted {each.max_rows}"
        )
        if each.contributor not in evidence.contract_accounts:
            message = each.message(manifest.order)
            require_signed(evidence, message, each.acceptance, each.contributor, "an acceptance")
    return f"{len(manifest.participants)} contributors, each signed"


def models_committed(evidence: Evidence) -> str:
    """The models are the ones that were fixed on chain before the seed existed."""
    manifest, commitment = evidence.manifest, evidence.commitment
    models = commitment.models
    found = keccak256(b"".join(models))
    require(
        found == commitment.models_digest and len(models) == len(manifest.participants),
        f"the event names {len(models)} models of digest {found}, the chain committed to "
        f"{len(manifest.participants)} of {commitment.models_digest}",
    )
    for shard in manifest.shards:
        committed = models[shard.shard] if shard.shard < len(models) else None
        require(
            shard.model_digest == committed,
            f"the model of shard {shard.shard} is {shard.model_digest}, the chain committed to {committed}",
        )
    require(
        commitment.commit_block < commitment.target_block,
        f"committed in block {commitment.commit_block}, after the seed's block {commitment.target_block}",
    )
    for shard in manifest.shards:
        if shard.contributor not in evidence.contract_accounts:
            message = shard.commitment(manifest.order, manifest.seed.salts)
            require_signed(
                evidence,
                message,
                shard.commit_signature,
                shard.contributor,
                f"the model of shard {shard.shard}",
            )
    return f"{len(manifest.shards)} models in block {commitment.commit_block}, each signed"


def seed(evidence: Evidence) -> str:
    """The seed follows from models, block hash and everybody's salt, and was drawn for the order."""
    manifest, commitment = evidence.manifest, evidence.commitment
    draw = manifest.seed
    pairs = (
        ("seed", draw.seed, commitment.seed),
        ("recorded seed", evidence.record.seed, commitment.seed),
        ("target block", draw.target_block, commitment.target_block),
        ("number of draws", draw.draws, commitment.draws),
    )
    for name, found, expected in pairs:
        require(found == expected, f"the {name} is {found}, the chain says {expected}")
    first = isinstance(manifest.terms, FirstOrderTerms)
    expected = 0 if first else len(manifest.participants)
    require(len(draw.salts) == expected, f"it is made of {len(draw.salts)} salts, expected {expected}")
    computed = draw.computed(manifest.order, commitment.models_digest)
    require(
        computed == draw.seed, f"order, models, block hash and salts give {computed}, the seed is {draw.seed}"
    )
    on_chain = evidence.block_hash
    if on_chain is not None:
        require(
            on_chain == draw.block_hash,
            f"the manifest's hash of block {draw.target_block} is {draw.block_hash}, not {on_chain}",
        )
    source = "as the node has it" if on_chain is not None else "from the manifest; the node no longer has it"
    salted = f" and {len(draw.salts)} salts" if draw.salts else ""
    return f"hash of block {draw.target_block} {source}{salted}; {draw.draws} draw(s)"


def shard_records(evidence: Evidence) -> str:
    """Manifest and chain say the same of every shard."""
    manifest, record = evidence.manifest, evidence.record
    numbers = [shard.shard for shard in manifest.shards]
    require(
        numbers == [chain.shard for chain in record.shards]
        and numbers == sorted(set(numbers) & set(range(len(manifest.participants)))),
        f"shards {numbers} in the manifest, {[chain.shard for chain in record.shards]} on chain, of "
        f"{len(manifest.participants)} participants",
    )
    for shard, chain in zip(manifest.shards, record.shards, strict=True):
        index, member = shard.shard, manifest.participants[shard.shard]
        pairs = (
            ("contributor", (shard.contributor, member.contributor), (chain.contributor,) * 2),
            ("row count", (shard.rows, member.rows), (chain.rows,) * 2),
            ("model digest", shard.model_digest, chain.model_digest),
            ("root", shard.shard_root, chain.shard_root),
            ("epsilon", shard.epsilon_micro, chain.epsilon_micro),
            ("delta", shard.delta_e12, chain.delta_e12),
            ("content digest", shard.content_digest, chain.content_digest),
        )
        for name, found, expected in pairs:
            require(found == expected, f"shard {index}: its {name} is {found}, the chain says {expected}")
    total = sum(shard.rows for shard in manifest.shards)
    require(total == record.rows, f"the shards have {total} rows together, the chain says {record.rows}")
    dropped = len(manifest.participants) - len(manifest.shards)
    without = f"; {dropped} of the matched contributors delivered nothing" if dropped else ""
    return f"{len(manifest.shards)} shards, {total:,} rows{without}"


def receipts(evidence: Evidence) -> str:
    """Every contributor signed for its shard: model, seed, rows, root, privacy, files."""
    manifest = evidence.manifest
    require(
        len(manifest.shards) == len(evidence.record.shards),
        f"{len(manifest.shards)} shards in the manifest, {len(evidence.record.shards)} on chain",
    )
    for shard, chain in zip(manifest.shards, evidence.record.shards, strict=True):
        message = shard.receipt(manifest.order, evidence.record.seed)
        if shard.contributor in evidence.contract_accounts:
            continue
        for signature in (shard.receipt_signature, chain.receipt):
            require_signed(
                evidence, message, signature, shard.contributor, f"the receipt of shard {shard.shard}"
            )
    return f"{len(manifest.shards)} receipts"


def generation(evidence: Evidence) -> str:
    """Parents are those of the signed collection; depth and real fraction follow from their records."""
    record, collection = evidence.record, evidence.manifest.collection
    require(
        record.parents == collection.parents,
        f"the record's parents are {list(record.parents)}, the collection names {list(collection.parents)}",
    )
    parents = []
    for parent in evidence.parents:
        if isinstance(parent, Absent):
            raise CheckFailedError(parent.words)
        parents.append(parent)
    expected = Generation.derived(collection.own_real_micro, parents)
    pairs = (
        ("depth", record.depth, expected.depth),
        ("real fraction", record.real_fraction_micro, expected.real_fraction_micro),
    )
    for name, found, right in pairs:
        require(found == right, f"the record says {name} {found}, own part and parents give {right}")
    own = f"{percent(collection.own_real_micro, MICRO)} of the rows declared real"
    return f"depth {expected.depth}, real fraction {percent(expected.real_fraction_micro, MICRO)} given {own}"


def require_signed(
    evidence: Evidence, message: TypedMessage, signature: bytes, signer: Address, what: str
) -> None:
    """Raises CheckFailedError unless `signer`, a key, signed. Contract accounts were checked on chain."""
    found = recover(evidence.deployment.domain, message, signature)
    require(found == signer, f"{what} is signed by {found}, expected {signer}")


def record_digest(record: DatasetOnChain) -> Digest:
    """keccak256(abi.encode(order, seed, datasetRoot, manifestDigest, scoreDigest, specVersion,
    realFractionMicro, parents, sharesBps, shards)) as documented in IDatasetRegistry.datasetOf; zero for the shard of
    a contributor that was dropped.
    """
    shards = [_NO_SHARD for _ in record.shares_bps]
    for shard in record.shards:
        shards[shard.shard] = keccak256(bytes(12) + shard.contributor + _receipt(record, shard).struct_hash())
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


def _receipt(record: DatasetOnChain, shard: ShardOnChain) -> ShardReceipt:
    return ShardReceipt(
        record.order,
        shard.shard,
        shard.model_digest,
        record.seed,
        shard.rows,
        shard.shard_root,
        shard.epsilon_micro,
        shard.delta_e12,
        shard.content_digest,
    )


def _array(words: Sequence[bytes]) -> bytes:
    return _word(len(words)) + b"".join(words)


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")
