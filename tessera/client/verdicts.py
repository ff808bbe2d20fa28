"""Asking the chain's verifier about a lie, without a transaction, over the very bytes that would be sent."""

from __future__ import annotations

from provenance.chain.disputes import DisputeReading, Verdict
from provenance.verify.published_shard import PublishedShard
from provenance.verify.refutation import Fault, Finding, query_of
from tessera.client.searching import Suspect
from tessera.errors import ScriptError


def require_agreement(
    ledger: DisputeReading, suspect: Suspect, shard: PublishedShard, finding: Finding
) -> None:
    """Raises ScriptError when the chain would not convict: then nothing may be spent."""
    if finding.fault is Fault.MODEL:
        if ledger.is_sound(shard.model):
            raise _disagreement("the chain takes the bytes for a sound model", finding)
        return
    query = query_of(shard, finding, suspect.request_row(finding.shard))
    verdict = ledger.verdict(shard.model, suspect.conditions, query, shard.chunk(finding.chunk))
    if verdict is Verdict.AGREES and finding.fault is not Fault.PLACE:
        raise _disagreement("the chain's verifier makes the same row", finding)


def _disagreement(found: str, finding: Finding) -> ScriptError:
    return ScriptError(
        f"{finding.words} - but {found}. Nothing was sent. This release and the contracts disagree: one of them has "
        "a defect; please report it with the data set's number"
    )
