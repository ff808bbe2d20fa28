"""Where the contracts of one market are. File format `tessera-deployment/1` (usually deployment.json).

{"format": "tessera-deployment/1", "chainId": 31337, "block": 1,
 "contracts": {"token": "0x..", "registry": "0x..", "escrow": "0x..", "commitment": "0x..", "datasets": "0x..",
               "rewards": "0x..", "verifier": "0x..", "challenges": "0x..", "demands": "0x..", "sales": "0x..",
               "royalties": "0x..", "modelStore": "0x.."}}
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
    def of(cls, chain_id: int, block: int, contracts: Mapping[str, Address]) -> Deployment:
        """From addresses by role."""
        return cls(
            chain_id=chain_id, block=block, **{_attribute(role): contracts[role] for role in CONTRACTS}
        )

    def dataset_name(self, dataset_id: int) -> str:
        """The CAIP-19 identifier of a data set of this market."""
        return f"eip155:{self.chain_id}/erc721:{self.datasets}/{dataset_id}"

    def document(self) -> dict[str, JsonValue]:
        return {
            "format": FORMAT,
            "chainId": self.chain_id,
            "block": self.block,
            "contracts": {role: str(address) for role, address in self.contracts().items()},
        }

    @classmethod
    def parse(cls, document: object, where: str = "deployment") -> Deployment:
        """Reads `document()` back. Raises DocumentError."""
        reader = Reader(document, where, ("format", "chainId", "block", "contracts"))
        reader.constant("format", FORMAT)
        contracts = Reader(reader.member("contracts"), f"{where}.contracts", CONTRACTS)
        addresses = {role: contracts.address(role) for role in CONTRACTS}
        return cls.of(reader.integer("chainId", 1), reader.integer("block"), addresses)

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


def _attribute(role: str) -> str:
    return "model_store" if role == "modelStore" else role
