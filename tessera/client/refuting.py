"""What `tessera download` does about a data set that failed its checks: look for what the chain can be shown."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from tessera.client.challenging import NOTHING_FALSE, REFUTED, STANDING, Options, run_challenge
from tessera.client.delivery import Delivery
from tessera.client.purchase import Buyer
from tessera.client.searching import Suspect, search
from tessera.client.session import ChainSession
from tessera.errors import FalseDatasetError, ScriptError
from tessera.terminal import err, remark


def challenge_path(out: Path) -> Path:
    """Where the challenge of a delivery is kept: beside the file that was not written."""
    return out.with_name(out.name + ".challenge.json")


def refute_delivery(buyer: Buyer, found: Delivery, to: Path, *, send: bool) -> NoReturn:
    """Raises FalseDatasetError that says what became of the lie."""
    session = ChainSession(buyer.profile, buyer.wallet, buyer.ledger)
    status, words = _refute(session, buyer, found, challenge_path(to), send=send)
    raise FalseDatasetError(
        f"data set {found.dataset_id} is false, {to} was not written: {words}", exit_code=status
    )


def _refute(
    session: ChainSession, buyer: Buyer, found: Delivery, file: Path, *, send: bool
) -> tuple[int, str]:
    command = f"`tessera challenge --dataset {found.dataset_id} --all`"
    try:
        suspect = Suspect(buyer.ledger, found.store, found.dataset_id, buyer.delivery_key)
        if not send and not err.is_terminal:
            searched = search(suspect)
            if searched.finding is None:
                return STANDING, f"no single row of it is; {_elsewhere(found.dataset_id)}"
            return STANDING, f"{searched.finding.words}. {command} proves it on chain, inside the window"
        status = run_challenge(session, suspect, Options(file, confirmed=send))
    except ScriptError as error:
        remark(str(error))
        return STANDING, f"the lie could not be shown to the chain; {command} tries again"
    if status == REFUTED:
        return REFUTED, "the chain has revoked it and paid you back"
    if status == NOTHING_FALSE:
        return STANDING, f"no single row of it is; {_elsewhere(found.dataset_id)}"
    return STANDING, f"it stands. {command} proves it on chain, inside the window"


def _elsewhere(dataset: int) -> str:
    return f"what failed is not for the chain to judge, or needs `tessera demand --dataset {dataset}`"
