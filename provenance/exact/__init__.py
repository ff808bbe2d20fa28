"""The exact generator: row = G(model, seed, shard, row number), the same bytes everywhere.

Light on purpose: `versions.sampler_for(spec_version)` is the door, `model` reads and writes model bytes.
"""

SPEC_VERSION = 1
