"""Checks of what people vouch for: scores, shares, privacy. Pure; the score file is `provenance.verify.score`."""

from __future__ import annotations

from provenance.record.receipts import median_score, shares_digest
from provenance.units import BASIS_POINTS, E12, MICRO, WHOLE_BPS, format_fixed, percent, to_float
from provenance.verify.certificate import require
from provenance.verify.evidence import Evidence
from provenance.verify.record_checks import require_signed


def evaluations(evidence: Evidence) -> str:
    """Every contributor signed its score over the data-set root and the shares; the median reaches the terms."""
    manifest, record = evidence.manifest, evidence.record
    require(
        len(manifest.evaluation) == len(record.evaluations) == len(manifest.participants),
        f"{len(manifest.evaluation)} evaluations in the manifest, {len(record.evaluations)} on chain, "
        f"expected one of each of {len(manifest.participants)} participants",
    )
    shares = shares_digest(record.shares_bps)
    for found, chain, member in zip(
        manifest.evaluation, record.evaluations, manifest.participants, strict=True
    ):
        pairs = (
            ("contributor", (found.contributor, chain.contributor), (member.contributor,) * 2),
            ("score", found.score_micro, chain.score_micro),
            ("shares digest", found.shares_digest, shares),
        )
        for name, seen, expected in pairs:
            require(seen == expected, f"{member.contributor}: its {name} is {seen}, expected {expected}")
        if member.contributor not in evidence.contract_accounts:
            message = found.message(manifest.order, record.dataset_root)
            for signature in (found.signature, chain.signature):
                require_signed(evidence, message, signature, member.contributor, "an evaluation")
    require(bool(manifest.evaluation), "the manifest shows no evaluation")
    median = median_score([each.score_micro for each in manifest.evaluation])
    least = manifest.terms.min_score_micro
    require(median >= least, f"the median score is {median} millionths, the terms ask for {least}")
    return f"median {to_float(median, MICRO):.4f}, asked for {to_float(least, MICRO):.4f}"


def shares(evidence: Evidence) -> str:
    """The shares sum to the whole and are those that the escrow pays by."""
    found = shares_digest(evidence.record.shares_bps)
    expected = evidence.order.shares_digest
    require(found == expected, f"the record's shares have digest {found}, the escrow pays by {expected}")
    total = sum(evidence.record.shares_bps)
    require(total == WHOLE_BPS, f"the shares sum to {total} basis points, expected {WHOLE_BPS}")
    return " / ".join(percent(share, BASIS_POINTS) for share in evidence.record.shares_bps)


def privacy(evidence: Evidence) -> str:
    """What the contributors claim to have spent is within the buyer's ceiling."""
    manifest = evidence.manifest
    terms = manifest.terms
    if terms.epsilon_micro == 0:
        return "the terms ask for no privacy"
    require(bool(manifest.shards), "the manifest names no shard, so nobody signed what was spent")
    for shard in manifest.shards:
        require(
            0 < shard.epsilon_micro <= terms.epsilon_micro and shard.delta_e12 <= terms.delta_e12,
            f"shard {shard.shard}: spent epsilon {format_fixed(shard.epsilon_micro, MICRO)}, "
            f"delta {format_fixed(shard.delta_e12, E12)}; "
            f"allowed {format_fixed(terms.epsilon_micro, MICRO)} and {format_fixed(terms.delta_e12, E12)}",
        )
    spent = max(shard.epsilon_micro for shard in manifest.shards)
    most = format_fixed(terms.epsilon_micro, MICRO)
    return f"largest epsilon {format_fixed(spent, MICRO)} of {most}, as signed in the receipts"
