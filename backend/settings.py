"""Settings of one backend process, from arguments or environment variables with the prefix TESSERA_.

Units stand in the names. Nothing else in the package reads the environment. A variable with the prefix that is no
setting is refused: a misspelt one would leave its setting at the default without a word.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Final

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.errors import StartupError
from provenance.units import ONE_TOKEN, WHOLE_BPS, TokenUnit

PREFIX: Final = "TESSERA_"
FOR_OTHERS: Final = frozenset(
    {*("TESSERA_NETWORK", "TESSERA_WALLET", "TESSERA_KEY"), *("TESSERA_PASSWORD", "TESSERA_PASSWORD_FILE")}
)
"""Variables of the command line and of key files."""
FOR_NODES: Final = "TESSERA_NODE_"


class Settings(BaseSettings):
    """Everything that may differ from one deployment to the next."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    state_dir: Path = Path("tessera-state")
    """Folder of databases and, by default, of the content store. Made when missing."""
    host: str = "127.0.0.1"
    port: int = Field(default=8600, ge=0, le=65535)
    rpc_url: str = "http://127.0.0.1:8545"
    deployment_file: Path = Path("tessera-state/deployment.json")
    key_file: Path = Path("tessera-state/broker.key")
    store: str = ""
    """A folder, or the multiaddr of an IPFS node (`/ip4/127.0.0.1/tcp/5001`). Empty: `store` in `state_dir`."""
    store_timeout_seconds: float = Field(default=30, gt=0)
    database_url: str = ""
    """SQLAlchemy URL. Empty: SQLite in `state_dir`. PostgreSQL: `postgresql+psycopg://…`."""
    workflow_database_url: str = ""
    """URL of the workflow engine's own database. Empty: SQLite in `state_dir`."""

    stake_wei: int = Field(default=ONE_TOKEN, ge=0)
    """What one order reserves of each matched contributor's stake."""
    bond_bps: int = Field(default=1000, ge=0, le=WHOLE_BPS)
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

    @classmethod
    def from_environment(cls) -> Settings:
        """Raises StartupError, on one line, for unknown variables and for values out of range."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        given = {name for name in map(str.upper, os.environ) if name.startswith(PREFIX)}
        for name in sorted(given - known - FOR_OTHERS):
            if name.startswith(FOR_NODES):
                continue
            nearest = get_close_matches(name.removeprefix(PREFIX), map(str.upper, cls.model_fields), 1)
            question = f"; did you mean {PREFIX}{nearest[0]}?" if nearest else "."
            raise StartupError(
                f"{name} is not a setting{question} The settings are {', '.join(sorted(known))}"
            )
        try:
            return cls()
        except ValidationError as error:
            wrong = (f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
            raise StartupError("; ".join(wrong)) from error

    def in_unit(self, unit: TokenUnit) -> Settings:
        """With the default stake of one token, whatever the token's decimals are."""
        return (
            self if "stake_wei" in self.model_fields_set else self.model_copy(update={"stake_wei": unit.one})
        )

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
