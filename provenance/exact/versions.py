"""Which code a record's specification version stands for. Old versions stay here for as long as records name them."""

from __future__ import annotations

from provenance.errors import UnknownVersionError
from provenance.exact import SPEC_VERSION
from provenance.exact.sampler import Sampler

_SAMPLERS: dict[int, type[Sampler]] = {SPEC_VERSION: Sampler}


def sampler_for(spec_version: int) -> type[Sampler]:
    """The sampler class of `spec_version`: call it with (model_bytes, seed, shard_index)."""
    try:
        return _SAMPLERS[spec_version]
    except KeyError as error:
        raise UnknownVersionError(
            f"specification version: found {spec_version}, expected one of {sorted(_SAMPLERS)}; "
            "a newer release may know it"
        ) from error
