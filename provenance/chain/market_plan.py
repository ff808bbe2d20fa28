"""Everything of a market that is known before its first transaction: codes, constructor arguments, addresses.

The contracts name each other as immutables, so none of them can be created by CREATE2 itself: its address would
depend on addresses that depend on its own. `MarketDeployer` can. Its code is fixed by the plan (codes and arguments
of all contracts, siblings by number), it is created through the deterministic deployer that chains have in common,
and it creates the others, whose addresses depend on its own alone. So all addresses are the same on every chain for
the same token and parameters, and can hold no other code: whoever takes the next step, it is the same one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from eth_abi.abi import encode

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS, NO_FEED, MarketParameters
from provenance.units import TOKEN
from provenance.values import Address, Digest, keccak256

CREATE2_DEPLOYER: Final = Address.parse("0x4e59b44847b379578588920cA78FbF26c0B4956C")
"""The deterministic deployment proxy: data is a salt and creation code, CREATE2 does the rest."""
MARKET_DEPLOYER: Final = "MarketDeployer"
NO_SALT: Final = Digest(bytes(32))
_SIBLINGS: Final = tuple(role for role in CONTRACTS if role != "token")
_STEP: Final = "(bytes,bytes32[],uint256)"
_Step = tuple[bytes, Sequence[bytes], int]


@dataclass(frozen=True, slots=True)
class Creation:
    """One contract before it is created; `to` and `data` are the transaction that does it."""

    contract: str
    address: Address
    arguments: bytes
    to: Address
    data: bytes


def mintable_token(decimals: int = TOKEN) -> Creation:
    """The test token, at the same address on each chain."""
    return _by_create2(CONTRACTS["token"], encode(["uint8"], [decimals]), NO_SALT)


@dataclass(frozen=True)
class MarketPlan:
    """A market around a token that stands already."""

    token: Address
    parameters: MarketParameters
    salt: Digest = NO_SALT
    """Another salt is another market with the same token and parameters."""

    @cached_property
    def deployer(self) -> Creation:
        """MarketDeployer, which creates the others."""
        plan = keccak256(encode(["bytes32[]"], [self._digests]))
        return _by_create2(MARKET_DEPLOYER, plan, self.salt)

    @cached_property
    def addresses(self) -> dict[str, Address]:
        """Where each role's contract is, in the order of CONTRACTS."""
        siblings = {role: _created_by(self.deployer.address, k) for k, role in enumerate(_SIBLINGS)}
        return {role: siblings.get(role, self.token) for role in CONTRACTS}

    @property
    def creations(self) -> list[Creation]:
        """MarketDeployer, then every contract but the token in its order."""
        return [self.deployer, *map(self._creation, _SIBLINGS)]

    def _creation(self, role: str) -> Creation:
        step = self._steps[role]
        _, words, siblings = step
        arguments = b"".join(
            self.addresses[_SIBLINGS[int.from_bytes(word, "big")]].rjust(32, b"\0")
            if siblings >> i & 1
            else word
            for i, word in enumerate(words)
        )
        data = interface(MARKET_DEPLOYER).encode_call("create", (self._digests, step))
        return Creation(CONTRACTS[role], self.addresses[role], arguments, self.deployer.address, data)

    @cached_property
    def _steps(self) -> Mapping[str, _Step]:
        """IMarketDeployer.Step by role."""
        arguments = _arguments(self.token, self.parameters)
        return {role: _step(CONTRACTS[role], arguments[role]) for role in _SIBLINGS}

    @cached_property
    def _digests(self) -> list[Digest]:
        return [keccak256(encode([_STEP], [self._steps[role]])) for role in _SIBLINGS]


def _step(contract: str, arguments: Sequence[Address | int | str]) -> _Step:
    words = [
        each.rjust(32, b"\0")
        if isinstance(each, Address)
        else (_SIBLINGS.index(each) if isinstance(each, str) else each).to_bytes(32, "big")
        for each in arguments
    ]
    siblings = sum(1 << i for i, each in enumerate(arguments) if isinstance(each, str))
    return interface(contract).bytecode, words, siblings


def _by_create2(contract: str, arguments: bytes, salt: Digest) -> Creation:
    code = interface(contract).bytecode + arguments
    address = Address(keccak256(b"\xff" + CREATE2_DEPLOYER + salt + keccak256(code))[12:])
    return Creation(contract, address, arguments, CREATE2_DEPLOYER, salt + code)


def _created_by(deployer: Address, number: int) -> Address:
    """Address of contract `number` of a deployer, whose nonce starts at 1: RLP of [deployer, nonce]."""
    return Address(keccak256(b"\xd6\x94" + deployer + bytes([number + 1]))[12:])


def _arguments(token: Address, chosen: MarketParameters) -> dict[str, tuple[Address | int | str, ...]]:
    """Constructor arguments by role, each one word: an address, a number, or the role of a sibling."""
    return {
        "registry": (token, "escrow", chosen.unbonding_seconds),
        "escrow": (
            *(token, "registry", "commitment", "datasets", "rewards", "challenges", "demands"),
            chosen.uptime_feed or NO_FEED,
            *chosen.limits(),
        ),
        "commitment": ("escrow", chosen.seed_delay_blocks),
        "datasets": ("escrow", "commitment", "challenges", "demands", "royalties"),
        "rewards": (token, "escrow", "datasets", "sales", "royalties"),
        "verifier": (),
        "challenges": ("escrow", "commitment", "datasets", "verifier"),
        "demands": (token, "escrow", "commitment", "datasets"),
        "sales": (token, "datasets", "rewards"),
        "royalties": (token, "datasets", "rewards"),
        "modelStore": (),
    }
