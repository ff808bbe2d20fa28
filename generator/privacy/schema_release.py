"""What a schema that was released under differential privacy costs its table, as events of the accountant."""

from __future__ import annotations

from generator.privacy.accountant import GaussianEvent, Threshold
from generator.privacy.ledger import PrivacyLedger
from generator.privacy.release import Release
from provenance.table.remarks import Release as SchemaRelease
from provenance.table.schema import Schema
from provenance.units import MICRO, to_float


def events_of(release: SchemaRelease) -> tuple[tuple[str, GaussianEvent], ...]:
    """The parts of a schema's release by name."""
    unit_rows = 1 if release.unit is None else release.unit.rows
    return tuple(
        (
            part.name,
            GaussianEvent(
                to_float(part.noise_multiplier_micro, MICRO),
                threshold=None
                if part.threshold is None
                else Threshold(
                    part.threshold.columns,
                    part.threshold.least,
                    to_float(part.threshold.std_micro, MICRO),
                    unit_rows,
                ),
            ),
        )
        for part in release.parts
    )


def schema_releases(schema: Schema) -> tuple[Release, ...]:
    """What the schema tells about the rows that it was read off; () where it was declared."""
    parts = () if schema.release is None else events_of(schema.release)
    return tuple(Release(f"schema/{name}", event) for name, event in parts)


def charge_schema(ledger: PrivacyLedger, schema: Schema) -> None:
    """Charges the schema's release to its table's ledger: once, however many fits and nodes use it, and whatever the
    cap, because it was made already. ledger: of the whole table, for all rows were read.
    """
    if schema.release is not None:
        ledger.charge(schema_releases(schema), schema.release.id, is_made=True)
