"""Data sets published in memory once for all tests of verification."""

from __future__ import annotations

import pytest

from tests.provenance.verify.publication import Builder, Publication


@pytest.fixture(scope="session")
def honest() -> Publication:
    """A private data set in which everything is true. Not to be changed."""
    return Builder().build()


@pytest.fixture(scope="session")
def honest_open() -> Publication:
    """An open data set in which everything is true. Not to be changed."""
    return Builder(is_open=True).build()
