"""Health of the process; chain, contracts and fees of the market."""

from __future__ import annotations

from dataclasses import fields
from importlib.metadata import version

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError

from backend.errors import DatabaseUnavailableError
from backend.http.context import PortsHere
from provenance.api.catalogue import Contracts, Health, NetworkView, TokenView
from provenance.api.message import Uint256
from provenance.exact import SPEC_VERSION
from provenance.units import TOKEN

router = APIRouter(tags=["network"])
VERSION = version("tessera-market")


@router.get("/health")
def health(ports: PortsHere) -> Health:
    """200 as long as the process answers and its database does."""
    try:
        ports.database.ping()
    except SQLAlchemyError as error:
        raise DatabaseUnavailableError("the database does not answer; see the operator's log") from error
    return Health(status="ok", version=VERSION)


@router.get("/v1/network")
def network(ports: PortsHere) -> NetworkView:
    """Chain, contracts and broker of this market. Clients compare the contracts with what they trust."""
    chain = ports.chain
    deployment = chain.deployment
    names = {field.name for field in fields(deployment)} - {"chain_id", "parameters", "unit"}
    contracts = {name: getattr(deployment, name) for name in names}
    unit = deployment.unit
    return NetworkView(
        chain_id=deployment.chain_id,
        deployment=Contracts(**contracts),
        token=None if unit.decimals == TOKEN else TokenView(symbol=unit.symbol, decimals=unit.decimals),
        broker=ports.broker,
        chain_time=chain.chain_time(),
        block_number=chain.block_number(),
        spec_version=SPEC_VERSION,
        stake_wei=Uint256(ports.settings.stake_wei),
        broker_fee_bps=ports.settings.broker_fee_bps,
    )
