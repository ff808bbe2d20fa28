"""What a challenge makes public, said before it is sent."""

from __future__ import annotations

import typer

from provenance.verify.published_shard import PublishedShard
from provenance.verify.refutation import Fault, Finding
from tessera.client.searching import Suspect
from tessera.errors import UsageError
from tessera.terminal import err, remark, say


def disclosed(suspect: Suspect, shard: PublishedShard, finding: Finding) -> str:
    """In plain words, what everybody can read for ever once the challenge is on chain."""
    if suspect.terms.is_open:
        return "this data set is open: a challenge makes nothing public that is not public already"
    others = len(suspect.record.shards) - 1
    chunk = len(shard.chunk(finding.chunk)) // shard.row_width if finding.fault is not Fault.MODEL else 0
    rows = f" It also shows {chunk} published rows in clear (chunk {finding.chunk})." if chunk else ""
    return (
        f"this data set is sealed to its buyer. A challenge writes the model of shard {shard.shard} "
        f"({len(shard.model):,} bytes) in clear into the public chain, for everybody and for ever; with the seed, "
        f"which is public, it makes all {shard.rows:,} rows that this shard should have had.{rows} The other "
        f"{others} shard(s) and the delivery key stay secret. The data set is revoked: its token then stands for "
        "nothing"
    )


def confirm_disclosure(suspect: Suspect, shard: PublishedShard, finding: Finding, *, confirmed: bool) -> bool:
    """Says it, and asks unless that was answered on the command line."""
    say(f"what this discloses: {disclosed(suspect, shard, finding)}")
    if confirmed:
        return True
    if not err.is_terminal:
        raise UsageError("nobody is there to agree to that: pass --yes to send the challenge")
    if typer.confirm("Send the challenge?", err=True):
        return True
    remark("nothing was sent")
    return False
