"""Keeps Python's recursion limit at its default beside py_ecc. Imported for its effect.

py_ecc (through eth_utils) raises the limit of the whole process to 100,000 when it is first imported. The C
parser of `json` then overflows its stack on deeply nested input and the process dies, instead of raising
RecursionError: one request could end a backend. Importing py_ecc here and putting the limit back takes effect
for good, because a module runs once.
"""

import sys

DEFAULT_LIMIT = 1_000

_before = DEFAULT_LIMIT if "py_ecc" in sys.modules else sys.getrecursionlimit()
import py_ecc  # noqa: E402, F401

sys.setrecursionlimit(_before)
