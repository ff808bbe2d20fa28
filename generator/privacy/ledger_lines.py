"""A privacy ledger for its owner's eyes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping

from generator.privacy.charge import WHOLE, total
from generator.privacy.ledger import PrivacyLedger
from generator.privacy.release import event_document
from provenance.canonical import JsonValue


def budget_lines(ledger: PrivacyLedger) -> Iterator[str]:
    """A privacy ledger: cap, charged, left, every order's charge, every release, what was done beside it."""
    cap, delta = ledger.cap.epsilon, ledger.cap.delta
    yield f"cap         {ledger.cap.words}, for the table's whole life"
    yield f"charged     epsilon {_shown(ledger.charged_epsilon())}"
    if cap is not None:
        yield f"left        one more order of epsilon {ledger.epsilon_left():.4g} at the most"
    entries = ledger.entries()
    for charge in ledger.charged():
        names = [each.name for each in charge.releases]
        made = sum(entry.order == charge.order and entry.release.name in names for entry in entries)
        cost = total([charge])
        yield (
            f"charge      {str(charge.order)[:12]} epsilon {_shown(cost.epsilon(delta))} alone, for {len(names)} "
            f"releases, {f'{made} made' if charge.split != WHOLE else 'a schema or fit of its owner'}"
        )
    for entry in entries:
        mechanism = event_document(entry.release.event)["mechanism"]
        yield (
            f"release     {str(entry.order)[:12]} {entry.release.name:<12} {entry.release.split:<8} "
            f"{mechanism}, alone epsilon {entry.epsilon:.4g}"
        )
    for change in ledger.limits():
        before = f", before: {change['before']}" if change["before"] else ""
        yield f"limits      {_when(change)} {change['what']}: {change['now']}{before}"
    for note in ledger.notes():
        yield f"not counted {_when(note)} {note['did']}{': ' if note['about'] else ''}{note['about']}"
    head, name = ledger.head(), ledger.trail().name
    yield f"head        line {head.number}, {head.digest}{'' if name is None else f', of ledger {name}'}"


def _when(entry: Mapping[str, JsonValue]) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(int(str(entry["time"]))))


def _shown(epsilon: float) -> str:
    return "unbounded" if math.isinf(epsilon) else f"{epsilon:.4g}"
