"""The broker shows a manifest that is demanded, and nothing that is not."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from backend.manifest_demands import answer_manifest_demand
from provenance.chain.disputes import MANIFEST_SHARD, DemandKind, DemandOnChain
from provenance.chain.errors import RevertError
from provenance.chain.ports import TxReceipt
from provenance.values import Address, Digest, sha256

ORDER, MANIFEST = sha256(b"order"), b'{"format":"tessera-manifest/1"}'
BUYER = Address(bytes([9]) * 20)


@dataclass
class Demands:
    """The demands contract. refuse: it takes no answer; outrun: somebody else's comes first."""

    open: bool = True
    refuse: bool = False
    outrun: bool = False
    shown: list[bytes] = field(default_factory=list)

    def demand(self, order: Digest, shard: int) -> DemandOnChain:
        is_asked = self.open and (order, shard) == (ORDER, MANIFEST_SHARD)
        return DemandOnChain(
            order, shard, DemandKind.MANIFEST if is_asked else DemandKind.NONE, BUYER, 0, 0, 0
        )

    def answer_manifest(self, order: Digest, manifest: bytes) -> TxReceipt:
        self.open = self.open and not self.outrun
        if self.refuse or self.outrun:
            raise RevertError("refused", name="Demands_NotOpen")
        self.open = False
        self.shown.append(manifest)
        return TxReceipt(sha256(b"answer"), 1, 1)


def answer(chain: Demands) -> TxReceipt | None:
    return answer_manifest_demand(chain, chain, ORDER, MANIFEST)


def test_nothing_is_shown_that_nobody_demands() -> None:
    chain = Demands(open=False)
    assert answer(chain) is None
    assert chain.shown == []


def test_a_refused_answer_is_an_error_while_the_demand_is_open() -> None:
    with pytest.raises(RevertError):
        answer(Demands(refuse=True))
    assert answer(Demands(outrun=True)) is None


def test_the_exact_bytes_are_shown_once() -> None:
    chain = Demands()
    assert answer(chain) is not None
    assert answer(chain) is None
    assert chain.shown == [MANIFEST]
