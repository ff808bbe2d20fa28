"""Bodies about the network."""

from __future__ import annotations

from backend.http.wire import Wire


class Health(Wire):
    status: str
    version: str


class DeploymentOut(Wire):
    token: str
    registry: str
    escrow: str
    commitment: str
    datasets: str
    rewards: str
    verifier: str
    challenges: str
    demands: str
    sales: str
    royalties: str
    model_store: str
    block: int


class NetworkOut(Wire):
    chain_id: int
    deployment: DeploymentOut
    broker: str
    chain_time: int
    block_number: int
    spec_version: int
    stake_wei: str
    broker_fee_bps: int
