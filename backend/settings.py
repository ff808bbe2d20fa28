"""Settings of one backend process, from arguments or environment variables with the prefix TESSERA_.

Units stand in the names. Nothing else in the package reads the environment.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything that may differ from one deployment to the next."""

    model_config = SettingsConfigDict(env_prefix="TESSERA_", extra="ignore", frozen=True)

    state_dir: Path = Path("tessera-state")
    """Folder of databases and, by default, of the content store. Made when missing."""
    host: str = "127.0.0.1"
    port: int = Field(default=8600, ge=0, le=65535)
    rpc_url: str = "http://127.0.0.1:8545"
    deployment_file: Path = Path("tessera-state/deployment.json")
    key_file: Path = Path("tessera-state/broker.key")
    store: str = ""
    """A folder, or the multiaddr of an IPFS node (`/ip4/127.0.0.1/tcp/5001`). Empty: `store` in
    `state_dir`.
    """
    store_timeout_seconds: float = Field(default=30, gt=0)
    database_url: str = ""
    """SQLAlchemy URL. Empty: SQLite in `state_dir`. PostgreSQL: `postgresql+psycopg://…`."""
    workflow_database_url: str = ""
    """URL of the workflow engine's own database. Empty: SQLite in `state_dir`."""

    stake_wei: int = Field(default=10**18, ge=0)
    """What one order reserves of each matched contributor's stake."""
    bond_bps: int = Field(default=1000, ge=0, le=10_000)
    """The broker's bond, in basis points of the price."""
    broker_fee_bps: int = Field(default=500, ge=0, le=2_000)
    max_contributors: int = Field(default=16, ge=1, le=255)
    max_rows: int = Field(default=10_000_000, ge=1)
    match_seconds: int = Field(default=600, ge=1)
    """Default of a quote: chain seconds until the order must be matched."""
    deliver_seconds: int = Field(default=3600, ge=2)
    challenge_seconds: int = Field(default=86_400, ge=0, le=90 * 86_400)
    accept_seconds: int = Field(default=20, ge=1)
    """Chain seconds given to nodes to answer an order before those who accepted are matched."""

    receipt_seconds: int = Field(default=300, ge=1)
    """How long a node may be silent after the seed before its receipt is demanded on chain."""

    poll_seconds: float = Field(default=0.4, gt=0)
    finality_blocks: int = Field(default=256, ge=1)
    """How far back the follower looks for the common ancestor of a reorganised chain."""
    max_json_bytes: int = Field(default=4 * 2**20, ge=1024)
    max_content_bytes: int = Field(default=256 * 2**20, ge=1024)

    @property
    def database(self) -> str:
        """The application's database URL."""
        return self.database_url or f"sqlite:///{self.state_dir.absolute() / 'backend.sqlite'}"

    @property
    def workflow_database(self) -> str:
        """The workflow engine's database URL."""
        return self.workflow_database_url or f"sqlite:///{self.state_dir.absolute() / 'workflows.sqlite'}"

    @property
    def store_location(self) -> str:
        """Folder or multiaddr of the content store."""
        return self.store or str(self.state_dir / "store")
