"""Checks of what people vouch for: scores, shares, privacy."""

from __future__ import annotations

from provenance.errors import ContentMissingError, IntegrityError
from provenance.record.receipts import shares_digest
from provenance.verify.case import Case, NotCheckedError, require
from provenance.verify.score import check_score
from provenance.verify.shard_files import fetch, open_score

WHOLE_BPS = 10_000


def evaluations(case: Case) -> str:
    """Every contributor signed its score over the data-set root and the shares; the median reaches the terms."""
    manifest, record = case.manifest, case.record
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
        if not case.ledger.is_contract(member.contributor):
            message = found.message(manifest.order, record.dataset_root)
            for signature in (found.signature, chain.signature):
                case.require_signed(message, signature, member.contributor, "an evaluation")
    # The lower middle one of an even number, as DatasetRegistry decides.
    scores = sorted(each.score_micro for each in manifest.evaluation)
    median, least = scores[(len(scores) - 1) // 2], manifest.terms.min_score_micro
    require(median >= least, f"the median score is {median} millionths, the terms ask for {least}")
    return f"median {median / 1e6:.4f}, asked for {least / 1e6:.4f}"


def shares(case: Case) -> str:
    """The shares sum to the whole and are those that the escrow pays by."""
    found = shares_digest(case.record.shares_bps)
    expected = case.order.shares_digest
    require(found == expected, f"the record's shares have digest {found}, the escrow pays by {expected}")
    total = sum(case.record.shares_bps)
    require(total == WHOLE_BPS, f"the shares sum to {total} basis points, expected {WHOLE_BPS}")
    return " / ".join(f"{share / 100:.2f} %" for share in case.record.shares_bps)


def score(case: Case) -> str:
    """The shares follow from the score file, and its shard counts from the rows."""
    manifest = case.manifest
    case.require_key()
    try:
        fetch(case.store, manifest.score.file, "score file")
    except (ContentMissingError, IntegrityError) as error:
        # "files present" says so; what is inside is another question.
        raise NotCheckedError(f"the score file could not be read: {error}") from error
    return check_score(open_score(case.store, manifest.order, manifest.score, case.right_keys), case)


def privacy(case: Case) -> str:
    """What the contributors claim to have spent is within the buyer's ceiling."""
    manifest = case.manifest
    terms = manifest.terms
    if terms.epsilon_micro == 0:
        return "the terms ask for no privacy"
    for shard in manifest.shards:
        require(
            0 < shard.epsilon_micro <= terms.epsilon_micro and shard.delta_e12 <= terms.delta_e12,
            f"shard {shard.shard}: spent epsilon {shard.epsilon_micro / 1e6:g}, "
            f"delta {shard.delta_e12 / 1e12:g}; "
            f"allowed {terms.epsilon_micro / 1e6:g} and {terms.delta_e12 / 1e12:g}",
        )
    spent = max(shard.epsilon_micro for shard in manifest.shards)
    return f"largest epsilon {spent / 1e6:g} of {terms.epsilon_micro / 1e6:g}, as signed in the receipts"
