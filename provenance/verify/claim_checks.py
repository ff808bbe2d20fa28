"""Checks of what people vouch for: scores, shares, privacy. Pure; the score file is `provenance.verify.score`."""

from __future__ import annotations

from provenance.chain.ports import Absence
from provenance.record.epsilon_words import epsilon_in_words
from provenance.record.receipts import LedgerHead, ShardContent, median_score, shares_digest
from provenance.record.terms import FirstOrderTerms
from provenance.table.origins import Origins
from provenance.units import BASIS_POINTS, E12, MICRO, WHOLE_BPS, format_fixed, percent, to_float
from provenance.verify.certificate import require
from provenance.verify.evidence import Evidence
from provenance.verify.record_checks import require_signed


def evaluations(evidence: Evidence) -> str:
    """More than half of the contributors that delivered and did not fall silent signed score, data-set root, shares and
    score file; the others were excused by the chain; the median of all that is said of this root reaches the terms."""
    manifest, record = evidence.manifest, evidence.record
    members, signed = len(record.shards), manifest.evaluation
    require(
        len(signed) == len(record.evaluations),
        f"{len(signed)} evaluations in the manifest, {len(record.evaluations)} on chain",
    )
    first = isinstance(manifest.terms, FirstOrderTerms)
    for shard, each in evidence.excused.items():
        require(
            each.absence is not Absence.NONE and not first,
            f"the evaluation of shard {shard} is not in the record, and it was never demanded on chain",
        )
    silent = sum(each.absence is Absence.SILENT for each in evidence.excused.values())
    least = (members - silent) // 2 + 1
    require(
        least <= len(signed) == members - len(evidence.excused),
        f"{len(signed)} of {members} contributors evaluated it, expected {least} or more",
    )
    shares = shares_digest(record.shares_bps)
    score = None if first else record.score_digest
    order = [each.contributor for each in manifest.participants]
    places = [order.index(each.contributor) if each.contributor in order else -1 for each in signed]
    in_order = places == sorted(set(places)) and -1 not in places
    require(in_order, "not one evaluation of each contributor, in their order")
    for found, chain in zip(signed, record.evaluations, strict=True):
        member = found.contributor
        pairs = (
            ("contributor", member, chain.contributor),
            ("score", found.score_micro, chain.score_micro),
            ("shares digest", found.shares_digest, shares),
        )
        for name, seen, expected in pairs:
            require(seen == expected, f"{member}: its {name} is {seen}, expected {expected}")
        if member not in evidence.contract_accounts:
            message = found.message(manifest.order, record.dataset_root, score)
            for signature in (found.signature, chain.signature):
                require_signed(evidence, message, signature, member, "an evaluation")
    require(bool(signed), "the manifest shows no evaluation")
    dissent = [
        each.score_micro for each in evidence.excused.values() if each.dataset_root == record.dataset_root
    ]
    median = median_score([*(each.score_micro for each in signed), *dissent])
    asked = manifest.terms.min_score_micro
    require(median >= asked, f"the median score is {median} millionths, the terms ask for {asked}")
    who = (
        ""
        if len(signed) == members
        else f", signed by {len(signed)} of {members} contributors, {silent} silent"
    )
    return f"median {to_float(median, MICRO):.4f}{who}, asked for {to_float(asked, MICRO):.4f}"


def shares(evidence: Evidence) -> str:
    """The shares sum to the whole and are those that the escrow pays by."""
    found = shares_digest(evidence.record.shares_bps)
    expected = evidence.order.shares_digest
    require(found == expected, f"the record's shares have digest {found}, the escrow pays by {expected}")
    total = sum(evidence.record.shares_bps)
    require(total == WHOLE_BPS, f"the shares sum to {total} basis points, expected {WHOLE_BPS}")
    return " / ".join(percent(share, BASIS_POINTS) for share in evidence.record.shares_bps)


def privacy(evidence: Evidence) -> str:
    """What the contributors claim to have spent is within the buyer's ceiling; what that means, and where the schema
    came from, is told."""
    manifest = evidence.manifest
    terms = manifest.terms
    schema = f"schema {'; '.join(Origins.of(manifest.collection.schema).lines())}"
    if terms.epsilon_micro == 0:
        return f"the terms ask for no privacy; {schema}"
    require(bool(evidence.standing), "the manifest names no shard, so nobody signed what was spent")
    for shard in evidence.standing:
        require(
            0 < shard.epsilon_micro <= terms.epsilon_micro and shard.delta_e12 <= terms.delta_e12,
            f"shard {shard.shard}: spent epsilon {format_fixed(shard.epsilon_micro, MICRO)}, "
            f"delta {format_fixed(shard.delta_e12, E12)}; "
            f"allowed {format_fixed(terms.epsilon_micro, MICRO)} and {format_fixed(terms.delta_e12, E12)}",
        )
    spent = max(shard.epsilon_micro for shard in evidence.standing)
    most = format_fixed(terms.epsilon_micro, MICRO)
    delta = max(shard.delta_e12 for shard in evidence.standing)
    means = epsilon_in_words(spent, delta, manifest.collection.schema.unit)
    ledgers = _ledgers(evidence)
    return (
        f"largest epsilon {format_fixed(spent, MICRO)} of {most}, as signed in the receipts: {means}; "
        f"{f'{ledgers}; ' if ledgers else ''}{schema}"
    )


def _ledgers(evidence: Evidence) -> str:
    """What the tables have spent over all their orders, where the receipts say it. Charges for rows and for persons add
    up as they are, so where a person is the unit this is no figure for one with several rows."""
    contents = [(each.shard, each.signed_content) for each in evidence.standing]
    heads = {
        shard: content.ledger
        for shard, content in contents
        if isinstance(content, ShardContent) and content.ledger is not None
    }
    if not heads:
        return ""
    spent = ", ".join(f"shard {shard} {_spent(head)}" for shard, head in heads.items())
    whom = "" if evidence.manifest.collection.schema.unit is None else ", for a person with one row"
    return f"spent by its table over all orders until then{whom}, signed and not proven: {spent}"


def _spent(head: LedgerHead) -> str:
    if head.epsilon_micro is None:
        return "without a bound"
    return f"epsilon {format_fixed(head.epsilon_micro, MICRO)} at delta {format_fixed(head.delta_e12, E12)}"
