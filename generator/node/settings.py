"""A node's settings: one frozen value, written once by `init` as node.toml, read by every other command.

Where a value comes from, the first that has it: an option of the command line; an environment variable
TESSERA_NODE_NAME, such as TESSERA_NODE_RPC, for what differs from machine to machine; node.toml; the default.
A variable TESSERA_NODE_... that is no setting is refused.

No secrets in here: the key is a file of its own (mode 600), named by path.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from generator.errors import SettingsError, unknown_name
from generator.node.config_file import ConfigFile, Location, checked, entry_names
from generator.privacy.delta import public_rows
from provenance.chain.fees import DEFAULT_CEILING_GWEI
from provenance.chain.finality import Finality
from provenance.errors import ValueFormatError
from provenance.files import make_folder, write_whole

FILE = "node.toml"
ENVIRONMENT = "TESSERA_NODE_"
_NUMBER = re.compile(r"-?[0-9]{1,78}", re.ASCII)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("an http or https URL")
    return text


def _finality(text: str) -> str:
    try:
        Finality.chosen(text)
    except ValueFormatError as error:
        raise ValueError("latest, safe, finalized or a number of blocks") from error
    return text


def _whole_number(value: object) -> object:
    """Amounts of 256 bits are texts in TOML, whose integers have 64."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,78}", value, re.ASCII) else value


Url = Annotated[str, AfterValidator(_url)]
Wei = Annotated[int, BeforeValidator(_whole_number), Field(ge=0, le=2**256 - 1)]


class _Environment(EnvSettingsSource):
    """The environment, whose variables are texts: digits are a number where one is meant, and nothing else is."""

    def prepare_field_value(
        self,
        field_name: str,  # noqa: ARG002 - the library's signature
        field: FieldInfo,
        value: object,
        value_is_complex: bool,  # noqa: ARG002
    ) -> object:
        is_number = field.annotation is int and isinstance(value, str) and _NUMBER.fullmatch(value)
        return int(value) if is_number else value  # type: ignore[call-overload]


class NodeSettings(BaseModel):
    """Where a node works and what it declares."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    backend: Url
    """The market's HTTP API."""
    rpc: Url
    """An Ethereum JSON-RPC endpoint that the operator trusts."""
    collection: str
    """The market's id of the collection."""
    declared_rows: int = Field(ge=1, le=2**53)
    """About how many rows the table has; `public_rows` are declared."""
    stake_wei: Wei
    """Stake that is deposited at registration."""
    key: str = Field(default="node.key", min_length=1)
    """File with the node's key, relative to the folder."""
    lease_seconds: int = Field(default=10, ge=5, le=600)
    """How long a task is lost to others after a kill."""
    poll_seconds: int = Field(default=10, ge=0, le=25)
    """How long one question for work waits at the market."""
    health_port: int = Field(default=0, ge=-1, le=65_535)
    """Loopback port of the health page: 0 any free one, -1 none."""
    threads: int = Field(default=1, ge=1, le=1024)
    """Threads of training and sampling."""
    finality: Annotated[str, AfterValidator(_finality)] = ""
    """How deep in the chain lies what the node acts on: "latest", "safe", "finalized" or a number of blocks.
    Empty: "latest" on a local chain, "safe" on any other."""
    max_fee_gwei: int = Field(default=DEFAULT_CEILING_GWEI, ge=1, le=2**53)
    """The most that the node's transactions offer for a unit of gas."""
    watchtower_key: str = ""
    """Public key of a watchtower that answers demands while the node is away. Empty: none."""
    watchtower_folder: str = ""
    """Where copies of the node's answers are put for it, sealed."""

    @property
    def public_rows(self) -> int:
        """The rows that are declared in public: two digits. Settings of earlier releases hold exact numbers."""
        return public_rows(self.declared_rows)

    def key_path(self, folder: Path) -> Path:
        """The key file; a relative path stands in the node's folder."""
        return folder / Path(self.key).expanduser()

    def write(self, folder: Path) -> None:
        """Store node.toml."""
        lines = [
            "# Written by `tessera node init`. No secrets in here. Environment variables go before these:",
            f"# {ENVIRONMENT}RPC before rpc, and so on.",
        ]
        for name, value in self.model_dump().items():
            text = json.dumps(str(value) if name == "stake_wei" else value, ensure_ascii=False)
            lines.append(f"{name} = {text}")
        make_folder(folder)
        write_whole(folder / FILE, ("\n".join(lines) + "\n").encode())

    @classmethod
    def of(cls, values: Mapping[str, object], source: str = "settings") -> NodeSettings:
        """Settings of these values alone; SettingsError says what cannot be used, and that it stands in `source`."""
        return checked(lambda: cls.model_validate(dict(values)), lambda _: source, _known)

    @classmethod
    def read(cls, folder: Path, overrides: Mapping[str, str | int | None] | None = None) -> NodeSettings:
        """node.toml under the environment and the command line's overrides (None = not given)."""
        advice = "run `tessera node init` first, or name the folder with --folder"
        file = ConfigFile.read(folder / FILE, advice)
        given = {name: value for name, value in (overrides or {}).items() if value is not None}
        _refuse_unknown_variables()

        def place(location: Location) -> str:
            name = str(location[0])
            if name in given:
                return "command line"
            variable = ENVIRONMENT + name.upper()
            return f"environment, {variable}" if variable in os.environ else file.place(location)

        sources = _sources(file.values)
        return checked(lambda: cls.model_validate(sources(**given).model_dump()), place, _known)


def _known(_: Location) -> tuple[str, ...]:
    return entry_names(NodeSettings)


def environment_names() -> tuple[str, ...]:
    """The environment variables that a node reads."""
    return tuple(ENVIRONMENT + name.upper() for name in NodeSettings.model_fields)


def _sources(values: dict[str, object]) -> Callable[..., NodeSettings]:
    """Settings that take what they are not given from the environment, then from a file's values."""

    class Sources(NodeSettings, BaseSettings):
        model_config = SettingsConfigDict(env_prefix=ENVIRONMENT, extra="forbid", strict=True)

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, _Environment(settings_cls), InitSettingsSource(settings_cls, values)

    return Sources


def _refuse_unknown_variables() -> None:
    known = environment_names()
    for name in sorted(os.environ):
        # In other letters too: the library would read some of them and silently pass over the rest.
        if name.upper().startswith(ENVIRONMENT) and name not in known:
            raise SettingsError(unknown_name("environment variable", name, known))


def secure_folder(folder: Path) -> None:
    """The node's folder, made if absent, readable by its owner only (mode 700)."""
    make_folder(folder)
    if folder.stat().st_mode & 0o077:
        os.chmod(folder, 0o700)
