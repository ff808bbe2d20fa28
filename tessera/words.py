"""How amounts, times and refusals are said to people: tokens, dates and words, not wei, chain
seconds and selectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from tessera.errors import UsageError

if TYPE_CHECKING:
    from provenance.chain.errors import RevertError

TOKEN_DECIMALS = 18
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def tokens(wei: int) -> str:
    """Token wei as people read it: grouped, without trailing zeros."""
    text = f"{Decimal(wei).scaleb(-TOKEN_DECIMALS):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def parse_tokens(text: str) -> int:
    """Tokens as people write them ("12.5") to wei. Raises UsageError."""
    try:
        wei = Decimal(text).scaleb(TOKEN_DECIMALS)
    except InvalidOperation as error:
        raise UsageError(f"found {text!r}, expected a number of tokens such as 12.5") from error
    if not wei.is_finite() or wei < 0 or wei != wei.to_integral_value():
        raise UsageError(f"found {text!r}, expected a non-negative number of tokens with at most 18 decimals")
    return int(wei)


def duration(seconds: float) -> str:
    """A length of time in its largest unit that fits twice, or once exactly: "6 days", "90
    minutes", "1 second"."""
    whole = round(abs(seconds))
    for size, name in _UNITS:
        if whole >= 2 * size or whole == size or size == 1:
            count = round(whole / size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    raise AssertionError("the last unit takes everything")


def moment(at: int, now: int) -> str:
    """Chain time `at`, seen from chain time `now`, as a local date: "2026-12-05 14:03 (in 6 days)"."""
    try:
        local = datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return f"a time beyond the calendar (chain time {at})"
    return f"{local} (in {duration(at - now)})" if at > now else f"{local} ({duration(now - at)} ago)"


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
    "Demands_NoMoreDemands": lambda a, _: f"no more demands can be made of order {a['order']}",
    "Demands_TooEarly": lambda a, at: f"it may still be answered until {at(a['answerBy'])}",
    "Demands_TooLate": lambda a, at: f"the time to answer ended at {at(a['answerBy'])}",
    "Demands_Unauthorized": lambda a, _: (
        f"{a['caller']} may not demand: the data set is sealed to another account"
    ),
    "Rewards_NothingToClaim": lambda a, _: f"nothing is held for {a['account']}",
    "ContributorRegistry_InsufficientStake": lambda a, _: (
        f"{a['contributor']} has {tokens(a['free'])} tokens of free stake, {tokens(a['needed'])} are needed"
    ),
    "ContributorRegistry_NothingToWithdraw": lambda a, _: f"{a['contributor']} has no stake to fetch",
    "ContributorRegistry_StillUnbonding": lambda a, at: (
        f"the stake may be fetched after {at(a['availableAt'])}"
    ),
}


def refusal(error: RevertError, now: int) -> str:
    """What a contract said, in words; `now`: chain time, or the clock's where that is not known."""
    words = _REFUSALS.get(error.name)
    action = str(error).partition(":")[0]
    return (
        str(error)
        if words is None
        else f"{action}: {words(error.arguments, lambda at: moment(int(at), now))}"
    )
