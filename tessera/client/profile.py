"""Where a market is: the addresses that a buyer pins once and compares everything with afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from provenance.files import READABLE, write_whole
from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.chain.deployment import Deployment
    from provenance.values import Address

FORMAT = "tessera-network/1"
VARIABLE = "TESSERA_NETWORK"


@dataclass(frozen=True, slots=True)
class NetworkProfile:
    """REST interface, chain and contracts. The contracts come from here, not from the broker's answers: a
    signature over terms or a permit is only worth giving to contracts that the buyer knows."""

    api: str
    rpc: str
    broker: Address
    deployment: Deployment
    finality: str = ""
    """How deep in the chain lies what is acted on: "latest", "safe", "finalized" or a number of blocks. Empty:
    "latest" on a local chain, "safe" on any other."""
    max_fee_gwei: int = 1_000
    """The most that a transaction offers for a unit of gas."""

    def write(self, path: Path) -> None:
        """Beside the deployment: symbol and decimals of a token that is not just called "tokens"."""
        from provenance.chain.deployment import unit_document
        from provenance.units import TOKENS

        document: dict[str, object] = {
            "format": FORMAT,
            "api": self.api,
            "rpc": self.rpc,
            "broker": str(self.broker),
            "deployment": self.deployment.document(),
            "finality": self.finality,
            "maxFeeGwei": self.max_fee_gwei,
        }
        if self.deployment.unit != TOKENS:
            document["token"] = unit_document(self.deployment.unit)
        write_whole(path, (json.dumps(document, indent=2) + "\n").encode(), mode=READABLE)


def load_profile(path: Path) -> NetworkProfile:
    """The profile in `path`; `UsageError` says what is wrong with the file."""
    from provenance.chain.deployment import Deployment, parse_unit
    from provenance.chain.finality import Finality
    from provenance.errors import ValueFormatError
    from provenance.values import Address

    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(
            f"{path}: no such network file; name another (network=; commands read {VARIABLE} too). `tessera up` and "
            "`tessera deploy` write DIR/network.json"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON ({error}): expected a {FORMAT} document") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f"{path}: expected a {FORMAT} document, as `tessera up` writes in DIR/network.json")
    missing = [name for name in ("api", "rpc", "broker", "deployment") if name not in document]
    if missing:
        raise UsageError(f"{path}: {', '.join(missing)} missing in this {FORMAT} document")
    deployment = Deployment.parse(document["deployment"])
    if "token" in document:
        unit = parse_unit(document["token"], "token")
        if unit.decimals != deployment.unit.decimals:
            raise UsageError(
                f"{path}: token has {unit.decimals} decimals, the deployment {deployment.unit.decimals}; amounts would "
                "be wrong by powers of ten: fetch the file anew from whoever runs the market"
            )
        deployment = replace(deployment, unit=unit)
    finality, most = document.get("finality", ""), document.get("maxFeeGwei", 1_000)
    if type(most) is not int or most < 1:
        raise UsageError(f"{path}: maxFeeGwei is {most!r:.40}, expected a whole number of gwei, at least 1")
    try:
        Finality.chosen(str(finality))
    except ValueFormatError as error:
        raise UsageError(f"{path}: {error}") from error
    return NetworkProfile(
        api=str(document["api"]),
        rpc=str(document["rpc"]),
        broker=Address.parse(document["broker"]),
        deployment=deployment,
        finality=str(finality),
        max_fee_gwei=most,
    )
