"""Where the contracts of one market are. File format `tessera-deployment/1` (usually deployment.json).

{"format": "tessera-deployment/1", "chainId": 31337, "block": 1,
 "contracts": {"token": "0x..", "registry": "0x..", "escrow": "0x..", "commitment": "0x..", "datasets": "0x..",
               "rewards": "0x..", "verifier": "0x..", "challenges": "0x..", "demands": "0x..", "sales": "0x..",
               "royalties": "0x..", "modelStore": "0x.."},
 "token": {"symbol": "USDC", "decimals": 6}}

`token` stands there only when the token's amounts do not have 18 decimals: a reader that knows nothing of it would show
and sign amounts that are wrong by powers of ten, and refuses the file instead. Any other file it reads as ever.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from provenance.canonical import JsonValue
from provenance.chain.errors import DeploymentError
from provenance.crypto.typed_data import Domain
from provenance.document import Reader
from provenance.errors import MalformedError
from provenance.files import READABLE, write_whole
from provenance.units import TOKEN, TOKENS, TokenUnit
from provenance.values import Address

FORMAT: Final = "tessera-deployment/1"
CONTRACTS: Final = {
    "token": "TestToken",
    "registry": "ContributorRegistry",
    "escrow": "OrderEscrow",
    "commitment": "ModelCommitment",
    "datasets": "DatasetRegistry",
    "rewards": "Rewards",
    "verifier": "RowVerifier",
    "challenges": "Challenges",
    "demands": "Demands",
    "sales": "DatasetSales",
    "royalties": "Royalties",
    "modelStore": "ModelStore",
}
"""Role in the deployment -> contract name, in the order of deployment."""
EVENT_ROLES: Final = (
    *("registry", "escrow", "commitment", "datasets", "rewards"),
    *("challenges", "demands", "sales", "royalties"),
)
"""Contracts whose events are the market's history."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses of the contracts on one chain; `block` is the first block with any of their events.

    `model_store` None: found from the chain, where no other contract names the store.
    """

    chain_id: int
    token: Address
    registry: Address
    escrow: Address
    commitment: Address
    datasets: Address
    rewards: Address
    verifier: Address
    challenges: Address
    demands: Address
    sales: Address
    royalties: Address
    model_store: Address | None
    block: int
    unit: TokenUnit = TOKENS

    @property
    def domain(self) -> Domain:
        """The EIP-712 domain of every message in this market."""
        return Domain(self.chain_id, self.escrow)

    def contracts(self) -> dict[str, Address]:
        """Role -> address of every contract known, in the order of CONTRACTS."""
        found = {role: getattr(self, _attribute(role)) for role in CONTRACTS}
        return {role: address for role, address in found.items() if address is not None}

    def address(self, role: str) -> Address:
        """Where the contract in this role is. Raises DeploymentError when nobody said so."""
        found: Address | None = getattr(self, _attribute(role))
        if found is None:
            raise DeploymentError(
                f"the address of {CONTRACTS[role]} is not known; give the market's deployment file"
            )
        return found

    @classmethod
    def of(
        cls, chain_id: int, block: int, contracts: Mapping[str, Address], unit: TokenUnit = TOKENS
    ) -> Deployment:
        """From addresses by role."""
        addresses = {_attribute(role): contracts[role] for role in CONTRACTS}
        return cls(chain_id=chain_id, block=block, **addresses, unit=unit)

    def dataset_name(self, dataset_id: int) -> str:
        """The CAIP-19 identifier of a data set of this market."""
        return f"eip155:{self.chain_id}/erc721:{self.datasets}/{dataset_id}"

    def document(self) -> dict[str, JsonValue]:
        document: dict[str, JsonValue] = {
            "format": FORMAT,
            "chainId": self.chain_id,
            "block": self.block,
            "contracts": {role: str(address) for role, address in self.contracts().items()},
        }
        return document if self.unit.decimals == TOKEN else {**document, "token": unit_document(self.unit)}

    @classmethod
    def parse(cls, document: object, where: str = "deployment") -> Deployment:
        """Reads `document()` back. Raises DocumentError."""
        names = ("format", "chainId", "block", "contracts")
        has_token = isinstance(document, Mapping) and "token" in document
        reader = Reader(document, where, (*names, "token") if has_token else names)
        reader.constant("format", FORMAT)
        contracts = Reader(reader.member("contracts"), f"{where}.contracts", CONTRACTS)
        addresses = {role: contracts.address(role) for role in CONTRACTS}
        unit = parse_unit(reader.member("token"), f"{where}.token") if has_token else TOKENS
        return cls.of(reader.integer("chainId", 1), reader.integer("block"), addresses, unit)

    def save(self, path: Path) -> None:
        """Writes the file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, (json.dumps(self.document(), indent=2) + "\n").encode(), mode=READABLE)

    @classmethod
    def load(cls, path: Path) -> Deployment:
        """Reads a deployment file. Raises DeploymentError."""
        try:
            return cls.parse(json.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise DeploymentError(
                f"{path}: cannot be read ({error.strerror}); expected the deployment file of the market"
            ) from error
        except (MalformedError, ValueError) as error:
            raise DeploymentError(f"{path}: not a deployment file: {error}") from error


def unit_document(unit: TokenUnit) -> dict[str, JsonValue]:
    """What `parse_unit` reads."""
    return {"symbol": unit.symbol, "decimals": unit.decimals}


def parse_unit(document: object, where: str) -> TokenUnit:
    """Symbol and decimals of a token. Raises DocumentError."""
    reader = Reader(document, where, ("symbol", "decimals"))
    return TokenUnit(reader.integer("decimals", 0, TOKEN), reader.text("symbol"))


def _attribute(role: str) -> str:
    return "model_store" if role == "modelStore" else role
