"""Where the contracts of one market are. File format `tessera-deployment/1` (usually deployment.json).

{"format": "tessera-deployment/1", "chainId": 31337, "block": 1,
 "contracts": {"token": "0x..", "registry": "0x..", "escrow": "0x..", "commitment": "0x..", "datasets": "0x..",
               "rewards": "0x..", "verifier": "0x..", "challenges": "0x..", "demands": "0x..", "sales": "0x..",
               "royalties": "0x..", "modelStore": "0x.."},
 "token": {"symbol": "USDC", "decimals": 6},
 "parameters": {"unbondingSeconds": 604800, "seedDelayBlocks": 2, "minAnswerSeconds": 3600,
                "minChallengeSeconds": 3600, "minDeliverySeconds": 1800, "maxScoreMicro": 950000, "minRows": 100,
                "minPrice": "10000", "minStake": "10000", "minStakeBps": 40000, "minBond": "1000"}}

`token` stands there only when the token's amounts do not have 18 decimals: a reader that knows nothing of it would show
and sign amounts that are wrong by powers of ten, and refuses the file instead.
`parameters` says what the deployer chose, with `"uptimeFeed": "0x.."` where the market has one; files without it are
read too, the contracts know (`OrderEscrow.limits`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
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
NO_FEED: Final = Address(bytes(20))
"""What the contracts have for a market without an uptime feed."""
EVENT_ROLES: Final = (
    *("registry", "escrow", "commitment", "datasets", "rewards"),
    *("challenges", "demands", "sales", "royalties"),
)
"""Contracts whose events are the market's history."""


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """What is fixed for the life of a market, and asked of every order in it (`IOrderEscrow.Limits`)."""

    unbonding_seconds: int = 7 * 24 * 3600
    seed_delay_blocks: int = 2
    min_answer_seconds: int = 3600
    """Least time to answer a demand in, long against a congested chain and a restart; silence counts after twice as
    long."""
    min_challenge_seconds: int = 3600
    """Below it nobody has fetched and recomputed the rows when they are settled."""
    min_delivery_seconds: int = 1800
    """From the last match to the deadline: nobody trains in less."""
    max_score_micro: int = 950_000
    """Hold-out scores of good data sets end below it; a higher demand gets work for nothing."""
    min_rows: int = 100
    """Every order spends privacy, however few rows it brings."""
    min_price: int = 10_000
    """Token wei: a cent of a token with six decimals, and enough for the tenth that a demand deposits."""
    min_stake: int = 10_000
    """Token wei. Not zero: a false row must cost something. What deters, the order's own terms say."""
    min_stake_bps: int = 40_000
    """Basis points of the price: a quarter of four times its part makes good what a contributor spoils."""
    min_bond: int = 1_000
    """Token wei. Not zero: giving up after the seed must cost something."""
    uptime_feed: Address | None = None
    """Chainlink's L2 sequencer uptime feed; None: times run on while the chain is down."""

    @classmethod
    def local(
        cls,
        unbonding_seconds: int = 7 * 24 * 3600,
    ) -> MarketParameters:
        """For trying and testing on a chain of one's own: short windows, orders of any size."""
        return cls(
            unbonding_seconds=unbonding_seconds,
            min_answer_seconds=1,
            min_challenge_seconds=0,
            min_delivery_seconds=0,
            max_score_micro=1_000_000,
            min_rows=1,
            min_price=0,
            min_stake=0,
            min_stake_bps=0,
            min_bond=0,
        )

    def limits(self) -> tuple[int, ...]:
        """As the escrow's constructor takes them."""
        return (
            *(self.min_answer_seconds, self.min_challenge_seconds, self.min_delivery_seconds),
            *(self.max_score_micro, self.min_rows, self.min_price, self.min_stake, self.min_bond),
            self.min_stake_bps,
        )

    def document(self) -> dict[str, JsonValue]:
        document: dict[str, JsonValue] = {
            name: str(getattr(self, field)) if name in _AMOUNTS else getattr(self, field)
            for name, field in _PARAMETERS.items()
        }
        # Only where there is one: the files of other markets stay as earlier releases read them.
        return document if self.uptime_feed is None else document | {_FEED: str(self.uptime_feed)}

    @classmethod
    def parse(cls, document: object, where: str) -> MarketParameters:
        """Reads `document()` back. Raises DocumentError."""
        has_feed = isinstance(document, Mapping) and _FEED in document
        reader = Reader(document, where, (*_PARAMETERS, *([_FEED] if has_feed else [])))
        return cls(
            uptime_feed=reader.address(_FEED) if has_feed else None,
            **{
                field: reader.decimal(name) if name in _AMOUNTS else reader.integer(name)
                for name, field in _PARAMETERS.items()
            },
        )


_PARAMETERS: Final = {
    "unbondingSeconds": "unbonding_seconds",
    "seedDelayBlocks": "seed_delay_blocks",
    "minAnswerSeconds": "min_answer_seconds",
    "minChallengeSeconds": "min_challenge_seconds",
    "minDeliverySeconds": "min_delivery_seconds",
    "maxScoreMicro": "max_score_micro",
    "minRows": "min_rows",
    "minPrice": "min_price",
    "minStake": "min_stake",
    "minStakeBps": "min_stake_bps",
    "minBond": "min_bond",
}
_FEED: Final = "uptimeFeed"
_AMOUNTS: Final = ("minPrice", "minStake", "minBond")


@dataclass(frozen=True, slots=True)
class Deployment:
    """Addresses of the contracts on one chain; `block` is the first block with any of their events.

    `model_store` None: found from the chain, where no other contract names the store. `parameters` None: not stated
    by the file; two deployments at the same addresses are the same.
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
    parameters: MarketParameters | None = field(default=None, compare=False)

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
        cls,
        chain_id: int,
        block: int,
        contracts: Mapping[str, Address],
        unit: TokenUnit = TOKENS,
        parameters: MarketParameters | None = None,
    ) -> Deployment:
        """From addresses by role."""
        addresses = {_attribute(role): contracts[role] for role in CONTRACTS}
        return cls(chain_id=chain_id, block=block, **addresses, unit=unit, parameters=parameters)

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
        if self.unit.decimals != TOKEN:
            document["token"] = unit_document(self.unit)
        if self.parameters is not None:
            document["parameters"] = self.parameters.document()
        return document

    @classmethod
    def parse(cls, document: object, where: str = "deployment") -> Deployment:
        """Reads `document()` back. Raises DocumentError."""
        optional = ("token", "parameters")
        stated = [name for name in optional if isinstance(document, Mapping) and name in document]
        reader = Reader(document, where, ("format", "chainId", "block", "contracts", *stated))
        reader.constant("format", FORMAT)
        contracts = Reader(reader.member("contracts"), f"{where}.contracts", CONTRACTS)
        addresses = {role: contracts.address(role) for role in CONTRACTS}
        unit, parameters = TOKENS, None
        if "token" in stated:
            unit = parse_unit(reader.member("token"), reader.where("token"))
        if "parameters" in stated:
            parameters = MarketParameters.parse(reader.member("parameters"), reader.where("parameters"))
        return cls.of(reader.integer("chainId", 1), reader.integer("block"), addresses, unit, parameters)

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
