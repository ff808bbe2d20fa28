"""Tessera: synthetic data whose every row can be recomputed.

    import tessera

    schema = tessera.schema.infer("table.csv")
    model = tessera.fit("table.csv", schema=schema)          # needs the extra `generator`
    rows = model.sample(10_000, seed=42)                     # {"age": [43, ...], ...}
    model.save("model.tsm")
    model = tessera.load("model.tsm")

    certificate = tessera.verify("eip155:1/erc721:0x.../7", rpc=URL, store="content")

    with tessera.Client("network.json", wallet="wallet.key", key="delivery.key") as client:
        client.request("adult", 5_000, "rows.csv", max_price=50)

Public are the names in `__all__` and what they return. Everything else in this package, and all of `backend`,
`generator` and `provenance`, is internal: it may change in any release. Names are loaded when they are first
asked for; one whose extra is not installed raises ImportError with the command that installs it.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tessera import schema
    from tessera.client.client import Client
    from tessera.local.auditing import audit
    from tessera.local.evaluating import evaluate
    from tessera.local.model import fit, load
    from tessera.verification import verify

    __version__: str

__all__ = ["Client", "__version__", "audit", "evaluate", "fit", "load", "schema", "verify"]

_HOMES = {
    "Client": ("tessera.client.client", "client"),
    "audit": ("tessera.local.auditing", "generator"),
    "evaluate": ("tessera.local.evaluating", "evaluate"),
    "fit": ("tessera.local.model", "generator"),
    "load": ("tessera.local.model", ""),
    "schema": ("tessera.schema", ""),
    "verify": ("tessera.verification", ""),
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from tessera.extras import version

        return version()
    if name not in _HOMES:
        raise AttributeError(f"module 'tessera' has no attribute {name!r}")
    from importlib import import_module

    from tessera.extras import require

    home, extra = _HOMES[name]
    require(extra, f"tessera.{name}")
    module = import_module(home)
    return module if name == "schema" else getattr(module, name)


def __dir__() -> list[str]:
    """What can be used in this installation: names that lack their extra are left out."""
    from tessera.extras import missing

    usable = [name for name, (_, extra) in _HOMES.items() if not missing(extra)]
    return sorted([*globals(), *usable, "__version__"])
