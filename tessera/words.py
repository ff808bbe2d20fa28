"""What a terminal needs beyond `provenance.units`: amounts that are typed, what a contract refused, in words, and
options by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from provenance.errors import ValueFormatError
from provenance.units import TokenUnit, local_time
from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.chain.errors import RevertError


def parse_tokens(text: str, unit: TokenUnit) -> int:
    """Tokens as people write them ("12.5") to wei. Raises UsageError."""
    try:
        return unit.parse(text)
    except ValueFormatError as error:
        raise UsageError(f"an amount of {unit.symbol or 'tokens'}: {error}") from error


PARAMETERS: Final = {
    **{
        name: "--" + name.replace("_", "-")
        for name in (
            *("again", "balance", "conditions", "conditions_out", "count", "dataset", "deployment", "device"),
            *("first_row", "from_stock", "key", "network", "processes", "row", "rows", "salt", "seed"),
            *("shard", "store", "stored", "trust_seller", "wallet", "where"),
        )
    },
    "file": "--salt-file",
    "to": "--out",
}
"""Parameters that messages of the library name, as `key=` or `row=7`, and the options of the command."""
_PARAMETER = re.compile(rf"(?<![^\s(])({'|'.join(PARAMETERS)})=((?=[\s,;:)]|\.?$|\.\s))?")


def with_options(message: str) -> str:
    """A message of the library as the command says it: `--key` for `key=`, `--row 7` for `row=7`."""
    return _PARAMETER.sub(lambda found: PARAMETERS[found[1]] + (" " if found[2] is None else ""), message)


ORDER_STATES = (
    "was never placed",
    "is open: no contributors are matched yet",
    "is matched: contributors work on it",
    "is published: its rows are delivered",
    "is settled: everybody is paid",
    "was cancelled already",
    "was refunded already",
    "was revoked: its data set was shown to be false or withheld",
)
"""What an order is, by the number of its state in the escrow."""

Arguments = Mapping[str, Any]


def _state(arguments: Arguments) -> str:
    return ORDER_STATES[int(arguments["state"])]


_REFUSALS: dict[str, Callable[[Arguments, Callable[[Any], str]], str]] = {
    "OrderEscrow_WrongState": lambda a, _: f"the order {_state(a)}",
    "OrderEscrow_TooEarly": lambda a, at: f"that is possible after the deadline of {at(a['deadline'])}",
    "OrderEscrow_TooLate": lambda a, at: f"the deadline was {at(a['deadline'])}",
    "OrderEscrow_Unauthorized": lambda a, _: f"{a['caller']} may not do this with the order",
    "OrderEscrow_DemandsOpen": lambda a, _: f"{a['count']} demands are open: it waits for their answers",
    "Disputes_NotPublished": lambda a, _: f"the order {_state(a)}: nothing can be judged",
    "Disputes_WindowClosed": lambda a, at: f"the challenge window ended at {at(a['endsAt'])}",
    "Demands_AlreadyOpen": lambda a, _: f"a demand for shard {a['shard']} is open already",
    "Demands_AlreadyAnswered": lambda a, _: f"shard {a['shard']} has answered that already",
    "Demands_ShardOut": lambda a, _: (
        f"shard {a['shard']} was dropped or convicted: there is nothing to demand"
    ),
    "Demands_TooLateToDemand": lambda a, at: f"demands of this kind were taken until {at(a['last'])}",
    "Demands_WrongStage": lambda a, _: f"order {a['order']} is not at the step that is demanded, or past it",
    "Demands_TooEarly": lambda a, at: f"it may still be answered until {at(a['answerBy'])}",
    "Demands_TooLate": lambda a, at: f"the time to answer ended at {at(a['answerBy'])}",
    "Demands_Unauthorized": lambda a, _: (
        f"{a['caller']} may not demand: the data set is sealed to another account"
    ),
    "DatasetSales_TooEarly": lambda a, at: f"that is possible after the deadline of {at(a['deadline'])}",
    "DatasetSales_TooLate": lambda a, at: f"the deadline was {at(a['deadline'])}",
    "DatasetSales_WrongPromise": lambda a, _: (
        f"the seller of data set {a['dataset']} changed which keys it promises: look at the offer again"
    ),
    "Rewards_NothingToClaim": lambda a, _: f"nothing is held for {a['account']}",
    "ContributorRegistry_InsufficientStake": lambda a, _: (
        f"{a['contributor']} has {a['unit'].shown(a['free'])} of free stake, {a['unit'].shown(a['needed'])} are needed"
    ),
    "ContributorRegistry_NothingToWithdraw": lambda a, _: f"{a['contributor']} has no stake to fetch",
    "ContributorRegistry_StillUnbonding": lambda a, at: (
        f"the stake may be fetched after {at(a['availableAt'])}"
    ),
}


def refusal(error: RevertError, now: int) -> str:
    """What a contract said, in words; `now`: chain time, or the clock's where that is not known."""
    words, arguments = _REFUSALS.get(error.name), {**error.arguments, "unit": error.unit}
    action = str(error).partition(":")[0]
    return (
        str(error) if words is None else f"{action}: {words(arguments, lambda at: local_time(int(at), now))}"
    )
