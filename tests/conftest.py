"""Settings that every test shares: one thread per BLAS call, so that two cores stay usable."""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true")

# the time of one example says nothing on a shared core; pytest-timeout guards against hanging
settings.register_profile("tessera", deadline=None)
settings.load_profile("tessera")
