"""The errors of this package, split by what the caller does next.

`MalformedError`: fix the input. `IntegrityError`: distrust whoever sent it. `UnavailableError`: try again.
Every message says what was found, what was expected and what to do.
"""

from __future__ import annotations


class ProvenanceError(Exception):
    """Root of every error this package raises on purpose."""


class MalformedError(ProvenanceError, ValueError):
    """The input does not follow its format: correct it and try again."""


class ValueFormatError(MalformedError):
    """A digest, address, signature or CID is not written as it must be."""


class CanonicalError(MalformedError):
    """Bytes or values that are not canonical JSON as in `provenance.canonical`."""


class SchemaError(MalformedError):
    """A schema document breaks a rule of docs/spec/schema.md."""


class TableError(MalformedError):
    """A table does not fit its schema."""


class ModelError(MalformedError):
    """Model bytes break a rule of docs/spec/model.md."""


class RowRangeError(MalformedError):
    """Row numbers, a seed or a shard index outside what docs/spec/rows.md allows."""


class ConditionError(MalformedError):
    """Conditions on rows that break a rule of docs/spec/conditions.md, or that no row of a model can meet."""


class ConditionUnmetError(ProvenanceError):
    """A row did not meet its conditions within the attempts that docs/spec/conditions.md allows."""


class MerkleError(MalformedError):
    """Rows, chunks or proofs of a shape that docs/spec/merkle.md does not know."""


class CarError(MalformedError):
    """A CAR file that is not CARv1 as in docs/spec/content.md."""


class UnixFsError(MalformedError):
    """A block that is not UnixFS of the profile in docs/spec/content.md."""


class UnknownVersionError(MalformedError):
    """A format or specification version that this release does not know."""


class IntegrityError(ProvenanceError):
    """Bytes or signatures do not match what vouches for them: distrust the source."""


class ContentDamagedError(IntegrityError):
    """A store returned bytes that do not hash to the CID asked for."""


class UnavailableError(ProvenanceError):
    """Something outside did not answer or does not hold what was asked: try again, or elsewhere."""


class ContentMissingError(UnavailableError):
    """The store does not hold this CID, or could not find it in time."""


class KeyNotReleasedError(ContentMissingError):
    """The contributor of a shard has not released the wrapped key, or the store that was asked does not hold it."""


class StoreUnavailableError(UnavailableError):
    """The content store itself cannot be reached or written."""


class MarketError(ProvenanceError):
    """The market's HTTP interface refused, did not answer, or answered what nobody can read."""


class DocumentError(MalformedError):
    """A JSON document or typed message has a missing, unknown or malformed member."""


class KeyFileError(ProvenanceError):
    """A key file is missing, readable by others, already there, or does not hold a key."""


class SignatureError(IntegrityError):
    """A signature is malformed or was made by another key than the one expected."""


class SealError(IntegrityError):
    """A sealed file or wrapped key does not open: it changed, or the key is another's."""


class WrongKeyError(ProvenanceError):
    """The delivery key in hand is not one that this data set was sealed for: nothing is learnt about the data."""
