"""What the verifier says of a data set that a test made."""

from __future__ import annotations

from provenance.crypto.seal import DeliveryKey
from provenance.verify.certificate import Certificate
from provenance.verify.dataset import verify_dataset
from tests.provenance.verify.publication import DATASET, KEY, Publication

NEEDS_KEY = ["files open", "models", "rows", "shard roots", "score file", "conditions"]


def verify(publication: Publication, key: DeliveryKey | None = KEY) -> Certificate:
    return verify_dataset(publication.chain, publication.store, DATASET, key)


def failed(publication: Publication, key: DeliveryKey | None = KEY) -> list[str]:
    certificate = verify(publication, key)
    assert certificate.exit_code == (1 if certificate.failed else 0)
    return [check.name for check in certificate.failed]
