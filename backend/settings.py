"""Settings of one backend process, from arguments or environment variables with the prefix TESSERA_.

Units stand in the names. Nothing else in the package reads the environment. A variable with the prefix that is no
setting is refused: a misspelt one would leave its setting at the default without a word.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from backend.errors import StartupError
from provenance.chain.fees import DEFAULT_CEILING_GWEI
from provenance.chain.finality import Finality
from provenance.record.collection import FAMILIES
from provenance.record.terms import MAX_ANSWER_SECONDS, MAX_CHALLENGE_SECONDS, MAX_CONTRIBUTORS
from provenance.units import ONE_TOKEN, WHOLE_BPS, WHOLE_MICRO, TokenUnit

PREFIX: Final = "TESSERA_"
FOR_OTHERS: Final = frozenset(
    {
        *("TESSERA_NETWORK", "TESSERA_WALLET", "TESSERA_KEY", "TESSERA_OWNER"),
        *("TESSERA_PASSWORD", "TESSERA_PASSWORD_FILE"),
    }
)
"""Variables of the command line and of key files."""
FOR_NODES: Final = "TESSERA_NODE_"
DELIVERY_SECONDS: Final = {"marginal": 120, "fedgan": 600, "autoregressive": 600}
"""Training, commitment, draw, sampling, scoring and publication of a small order on one core, with room to spare."""


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
    """Least stake of a node that announces itself, and what the market advises nodes to deposit."""
    stake_bps: int = Field(default=40_000, ge=0, le=1_000_000)
    """Stake that an order reserves of all its contributors together, in basis points of the price; divided by rows.
    Four times the price: a quarter of what a convicted contributor loses makes good its part."""
    answer_seconds: int = Field(default=4 * 3600, ge=1, le=MAX_ANSWER_SECONDS)
    """Default of a quote: chain seconds to answer a demand in; silence is punished after twice as long."""
    bond_bps: int = Field(default=1000, ge=0, le=WHOLE_BPS)
    """The broker's bond, in basis points of the price."""
    broker_fee_bps: int = Field(default=500, ge=0, le=2_000)
    max_contributors: int = Field(default=16, ge=1, le=MAX_CONTRIBUTORS)
    max_rows: int = Field(default=10_000_000, ge=1)
    least_rows: int = Field(default=10, ge=1)
    least_price_wei: int = Field(default=ONE_TOKEN // 100, ge=0)
    """Of a whole order: what its transactions and everybody's training are worth at the least."""
    least_epsilon_micro: int = Field(default=100_000, ge=0)
    """Below it a family finds no noise that keeps so small an epsilon, or rows that say nothing."""
    highest_min_score_micro: int = Field(default=900_000, ge=0, le=WHOLE_MICRO)
    """Highest minimum score that a buyer may ask for: one that is never reached is an order that is never paid."""
    match_seconds: int = Field(default=600, ge=1)
    """Default of a quote: chain seconds until the order must be matched."""
    deliver_seconds: int = Field(default=3600, ge=2)
    challenge_seconds: int = Field(default=86_400, ge=0, le=MAX_CHALLENGE_SECONDS)
    least_match_seconds: int = Field(default=30, ge=2)
    least_delivery_seconds: dict[str, Annotated[int, Field(ge=1)]] = DELIVERY_SECONDS
    """Chain seconds from the match deadline to the delivery deadline, by family; JSON in the environment."""
    least_challenge_seconds: int = Field(default=60, ge=0, le=MAX_CHALLENGE_SECONDS)
    newcomer_bps: int = Field(default=2_500, ge=1, le=WHOLE_BPS)
    """Part of an order's rows, in basis points, that all contributors without a settled shard deliver together."""
    spoiler_blocks: int = Field(default=50_400, ge=0)
    """For so many blocks nobody is matched that was slashed: a week of twelve seconds each."""
    no_show_seconds: int = Field(default=86_400, ge=0)
    """For so long nobody is matched that left a matched order waiting, or refused its work without a reason."""
    accept_seconds: int = Field(default=20, ge=1)
    """Chain seconds given to nodes to answer an order before those who accepted are matched."""

    receipt_seconds: int = Field(default=300, ge=1)
    """How long a node may be silent after the seed before its receipt is demanded on chain."""

    task_retention_seconds: int = Field(default=30 * 86_400, ge=0)
    """For so long after an order's end what its nodes sent is kept; 0 deletes it at once."""

    finality: str = ""
    """How deep in the chain lies what the broker acts on: `latest`, `safe`, `finalized` or a number of blocks.
    Empty: `latest` on a local chain, `safe` on any other."""
    max_fee_gwei: int = Field(default=DEFAULT_CEILING_GWEI, ge=1)
    """The most that the broker's transactions offer for a unit of gas."""
    poll_seconds: float = Field(default=0.4, gt=0)
    finality_blocks: int = Field(default=256, ge=1)
    """How far back the follower looks for the common ancestor of a reorganised chain."""
    max_json_bytes: int = Field(default=4 * 2**20, ge=1024)
    max_content_bytes: int = Field(default=256 * 2**20, ge=1024)

    @field_validator("finality")
    @classmethod
    def _is_finality(cls, text: str) -> str:
        Finality.chosen(text)
        return text

    @model_validator(mode="after")
    def _know_each_family(self) -> Self:
        if self.least_delivery_seconds.keys() != set(FAMILIES):
            raise ValueError(f"least_delivery_seconds: expected one entry for each of {', '.join(FAMILIES)}")
        return self

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
            wrong = (
                f"{PREFIX}{''.join(map(str, item['loc'][:1])).upper()}: {item['msg']}"
                for item in error.errors()
            )
            raise StartupError("; ".join(wrong)) from error
        except SettingsError as error:
            raise StartupError(f"{error}; {error.__cause__}") from error

    def in_unit(self, unit: TokenUnit) -> Settings:
        """With the default stake of one token and least price of a hundredth, whatever the token's decimals are."""
        defaults = {"stake_wei": unit.one, "least_price_wei": unit.one // 100}
        return self.model_copy(
            update={name: wei for name, wei in defaults.items() if name not in self.model_fields_set}
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
