"""The key that private files of states in these tests are sealed under."""

from __future__ import annotations

from provenance.crypto.at_rest import RestKey

REST_KEY = RestKey(b"\x05" * 32)
