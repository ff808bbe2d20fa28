"""A node's settings: one frozen value, written once by `init` as node.toml, read by every other command.

No secrets in here: the key is a file of its own (mode 600), named by path.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from generator.errors import SettingsError
from generator.files import make_folder, write_whole

FILE = "node.toml"


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """Where a node works and what it declares.

    backend, rpc: URLs of the market and of an Ethereum JSON-RPC endpoint. collection: the market's id of the
    collection. declared_rows: rows publicly declared. key: file with the node's key, relative to the folder.
    stake_wei: deposited at registration. lease_seconds: how long a task is lost to others after a kill.
    health_port: loopback port of the health page, 0 = any free one, -1 = none. threads: for torch and
    sampling.
    """

    backend: str
    rpc: str
    collection: str
    declared_rows: int
    stake_wei: int
    key: str = "node.key"
    lease_seconds: int = 10
    poll_seconds: int = 10
    health_port: int = 0
    threads: int = 1

    def __post_init__(self) -> None:
        for name, value in (("backend", self.backend), ("rpc", self.rpc)):
            parts = urlsplit(value)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise SettingsError(f"{name} is {value!r}, expected an http or https URL")
        limits = (
            ("declared_rows", self.declared_rows, 1, 2**53),
            ("stake_wei", self.stake_wei, 0, 2**256 - 1),
            ("lease_seconds", self.lease_seconds, 5, 600),
            ("poll_seconds", self.poll_seconds, 0, 25),
            ("health_port", self.health_port, -1, 65535),
            ("threads", self.threads, 1, 1024),
        )
        for name, number, least, most in limits:
            if not least <= number <= most:
                raise SettingsError(f"{name} is {number}, expected {least} to {most}")

    def key_path(self, folder: Path) -> Path:
        """The key file; a relative path stands in the node's folder."""
        return folder / Path(self.key).expanduser()

    def write(self, folder: Path) -> None:
        """Stores node.toml; amounts of 256 bits are strings there because TOML integers have 64."""
        lines = ["# Written by `tessera node init`. No secrets in here."]
        for name, value in asdict(self).items():
            text = json.dumps(str(value) if name == "stake_wei" else value, ensure_ascii=False)
            lines.append(f"{name} = {text}")
        make_folder(folder)
        write_whole(folder / FILE, ("\n".join(lines) + "\n").encode())

    @classmethod
    def read(cls, folder: Path, overrides: Mapping[str, str | int | None] | None = None) -> NodeSettings:
        """node.toml with the command line's overrides (None = not given)."""
        values = read_toml(folder / FILE, "run `tessera node init` first, or name the folder with --folder")
        values |= {name: value for name, value in (overrides or {}).items() if value is not None}
        return _build(values, folder / FILE)


_TEXTS = ("backend", "rpc", "collection", "key")


def _build(values: dict[str, object], path: Path) -> NodeSettings:
    known = {field.name: field.default for field in fields(NodeSettings)}
    missing = [name for name, default in known.items() if default is MISSING and name not in values]
    if odd := sorted(values.keys() - known.keys()) + missing:
        raise SettingsError(
            f"{path}: unknown or missing entries {', '.join(odd)}; expected {', '.join(known)}"
        )
    texts: dict[str, str] = {}
    numbers: dict[str, int] = {}
    for name, value in values.items():
        if name in _TEXTS and isinstance(value, str):
            texts[name] = value
        elif name == "stake_wei" and isinstance(value, str) and value.isascii() and value.isdecimal():
            numbers[name] = int(value)
        elif name not in _TEXTS and isinstance(value, int) and not isinstance(value, bool):
            numbers[name] = value
        else:
            raise SettingsError(
                f"{path}: {name} is {value!r}, expected {'text' if name in _TEXTS else 'an integer'}"
            )
    return NodeSettings(**texts, **numbers)  # type: ignore[arg-type]


def read_toml(path: Path, advice: str) -> dict[str, object]:
    """A TOML file, or a SettingsError with `advice` on what to do."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{path} is missing: {advice}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error


def secure_folder(folder: Path) -> None:
    """The node's folder, made if absent, readable by its owner only (mode 700)."""
    make_folder(folder)
    if folder.stat().st_mode & 0o077:
        os.chmod(folder, 0o700)
