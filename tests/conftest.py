"""Settings that every test shares: one thread per BLAS call, so that two cores stay usable."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("HARDHAT_DISABLE_TELEMETRY_PROMPT", "true")
