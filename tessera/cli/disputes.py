"""`tessera challenge | demand`: showing the chain that a data set is false, or that its bytes are withheld."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.exact.size_class import ATTEMPTS
from provenance.units import TokenUnit, duration, local_time
from tessera.cli.options import (
    DEFAULT_NETWORK,
    DatasetOption,
    DeliveryKeyFile,
    NetworkFile,
    OtherStore,
    WalletFile,
    YesOption,
    examples,
    open_client,
)
from tessera.errors import FalseDatasetError, TesseraError, UsageError
from tessera.terminal import err, out, progress_bar, remark, say

if TYPE_CHECKING:
    from provenance.chain.model_parts import StoredPart
    from tessera.client.audited_dataset import Refutation, Searched
    from tessera.client.challenge import Challenge
    from tessera.client.client import Client
    from tessera.client.demand import Demand

DONE = 0
PROVEN = 3
STANDING = 4
"""Exit statuses beside 1 (failed) and 2 (usage). PROVEN: the chain has revoked the shard (of several, or with it the
data set). STANDING: something is false and stands, or was not looked at or not answered."""

CHALLENGE_EXAMPLES = examples(
    "challenge --dataset 7 --all --wallet wallet.key --key delivery.key",
    "challenge --dataset 7 --row 1234 --yes --wallet wallet.key --key delivery.key",
)
DEMAND_EXAMPLES = examples(
    "demand --dataset 7 --row 1234 --wallet wallet.key",
    "demand --dataset 7 --shard 1 --model --order-file rows.csv.order.json --wallet wallet.key",
    "demand --dataset 7 --manifest --order-file rows.csv.order.json --wallet wallet.key",
)


def add_to(app: typer.Typer) -> None:
    app.command("challenge", rich_help_panel="Checking", epilog=CHALLENGE_EXAMPLES)(challenge)
    app.command("demand", rich_help_panel="Checking", epilog=DEMAND_EXAMPLES)(demand)


def challenge(
    dataset: DatasetOption,
    wallet: WalletFile,
    row: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="look at this row of the data set only")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="look at every row (the default)")] = False,
    stored: Annotated[
        bool, typer.Option("--stored", help="put the model on chain in parts first: for large models")
    ] = False,
    yes: YesOption = False,
    salt_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="where claim and salt are kept until the chain has judged"),
    ] = None,
    key: DeliveryKeyFile = None,
    store: OtherStore = None,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Recompute the rows of a data set; prove a false one on chain: its shard is revoked, its signer slashed, the
    buyer paid back that part.

    Exit status: 0 no false row, 3 one was proven on chain, 4 one (or a shard that does not open) stands
    because you declined or the window is closed, 1 and 2 as everywhere. Killed between commitment and proof,
    the same command goes on.
    """
    if row is not None and every:
        raise UsageError("--row and --all exclude each other: name one of them")
    with open_client(network, wallet, key) as client:
        found = client.challenge_of(dataset, file=salt_file, stored=stored, store=store)
        raise typer.Exit(pursue(found, row, confirmed=yes))


def pursue(challenge: Challenge, row: int | None = None, *, confirmed: bool = False) -> int:
    """Search, tell, ask, send; returns the exit status. An earlier challenge in the file is gone on with."""
    number = challenge.dataset.id
    if challenge.is_over:
        say(f"data set {number} is not valid any more: there is nothing left to refute")
        challenge.forget()
        return PROVEN
    if challenge.is_kept:
        found = challenge.resume()
        say(f"continuing the challenge of {found.finding.words}, kept in {challenge.file}")
        return _prove(challenge, found, confirmed=confirmed)
    searched = _search(challenge, row)
    _say_closed(challenge, searched)
    if searched.refutation is None:
        say(f"no false row found in data set {number}: {searched.rows:,} rows recomputed and equal")
        return STANDING if searched.closed else DONE
    say(f"FALSE: {searched.refutation.finding.words}")
    return _prove(challenge, searched.refutation, confirmed=confirmed)


def _search(challenge: Challenge, row: int | None = None) -> Searched:
    from tessera.client.audited_dataset import search

    with progress_bar() as bar:
        return search(
            challenge.dataset,
            row,
            lambda done, rows: bar("recomputing rows", done / rows, f"{done:,} of {rows:,}"),
        )


def _say_closed(challenge: Challenge, searched: Searched) -> None:
    """What was not looked into, and what may be demanded of it."""
    dataset = challenge.dataset
    for closed in searched.closed:
        whose = dataset.record.shard(closed.shard).contributor
        said = f"shard {closed.shard} of contributor {whose} was not looked into: {closed.words}"
        if closed.demand is None:
            remark(said)
            continue
        row = dataset.first_row(closed.shard) + closed.row
        wanted = f"--shard {closed.shard} --model" if closed.demand == "model" else f"--row {row}"
        remark(f"{said}. `tessera demand --dataset {dataset.id} {wanted}` has it shown on chain")


def _prove(challenge: Challenge, found: Refutation, *, confirmed: bool) -> int:
    """From a false row to a revoked shard, if it can still be judged and the challenger wants it."""
    late = challenge.why_too_late()
    if late:
        remark(late)
        return STANDING
    challenge.check(found)
    say("the chain's own verifier agrees: it calls this false too (asked without a transaction)")
    say(f"what this discloses: {challenge.disclosure(found)}")
    if not _agreed("Send the challenge?", confirmed=confirmed):
        return STANDING
    done = challenge.send(found, _say_part, _say_attempts)
    if challenge.stored:
        say(f"gas of storing the model and showing attempts: {done.stored_gas:,}")
    say(
        f"{_convicted(challenge, found.finding.shard)} (transaction {done.receipt.hash}, block {done.receipt.block}): "
        f"gas {done.commit_gas:,} for the commitment, {done.receipt.gas_used:,} for the proof"
    )
    _show_accounts(done.before, done.after, challenge.chain.deployment.unit)
    return PROVEN


def _convicted(challenge: Challenge, shard: int) -> str:
    """What became of the data set."""
    number = challenge.dataset.id
    if not challenge.chain.dataset(number).stands:
        return f"data set {number} is revoked"
    return (
        f"shard {shard} of data set {number} is revoked, the others stand; its part of the price comes back to the "
        "buyer at the settlement"
    )


def _say_part(part: StoredPart) -> None:
    paid = (
        f"stored at {part.address}: gas {part.gas:,}" if part.gas else f"is there already, at {part.address}"
    )
    say(f"part {part.number} of {part.count} of the model {paid}")


def _say_attempts(made: int) -> None:
    say(
        f"{made} of at most {ATTEMPTS} attempts of this row stand on chain: none of them meets its conditions"
    )


def challenge_delivery(
    client: Client, error: FalseDatasetError, to: Path, *, send: bool
) -> FalseDatasetError:
    """What becomes of a downloaded data set that is false: looked at for what the chain can be shown, and
    challenged if that is asked for or agreed to. Returns the error that says so."""
    number = error.dataset
    command = f"`tessera challenge --dataset {number} --all`"
    elsewhere = f"what failed is not for the chain to judge, or needs `tessera demand --dataset {number}`"
    try:
        challenge = client.challenge_of(number, file=to.with_name(to.name + ".challenge.json"))
        if not send and not err.is_terminal:
            found = _search(challenge).refutation
            if found is None:
                status, words = STANDING, f"no single row of it is; {elsewhere}"
            else:
                status, words = (
                    STANDING,
                    f"{found.finding.words}. {command} proves it on chain, inside the window",
                )
        else:
            status = pursue(challenge, confirmed=send)
            words = f"it stands. {command} proves it on chain, inside the window"
            if status == PROVEN:
                words = _after_proof(challenge)
            elif status == DONE:
                words = f"no single row of it is; {elsewhere}"
    except TesseraError as failure:
        remark(str(failure))
        status, words = STANDING, f"that could not be shown to the chain; {command} tries again"
    code = PROVEN if status == PROVEN else STANDING
    return FalseDatasetError(number, error.certificate, f"{to} was not written: {words}", exit_code=code)


def _after_proof(challenge: Challenge) -> str:
    if not challenge.chain.dataset(challenge.dataset.id).stands:
        return "the chain has revoked it and paid you back"
    return (
        "the chain has revoked the false shard, whose part of the price comes back to you at the settlement; "
        "`tessera download` writes the rows of the others"
    )


def demand(
    dataset: DatasetOption,
    wallet: WalletFile,
    shard: Annotated[int | None, typer.Option(min=0, metavar="K", help="whose model is demanded")] = None,
    model: Annotated[bool, typer.Option("--model", help="demand the model of --shard")] = False,
    row: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="demand the chunk with this row of the data set")
    ] = None,
    manifest: Annotated[bool, typer.Option("--manifest", help="demand the manifest, of the broker")] = False,
    order_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="the order's terms, when the market does not give them"),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="wait for the answer or its time to pass")
    ] = True,
    yes: YesOption = False,
    network: NetworkFile = DEFAULT_NETWORK,
) -> None:
    """Have a contributor show a model or rows on chain that nobody can open, or the broker its manifest;
    silence costs them.

    Exit status: 0 answered, 3 not answered and convicted, 4 open or declined, 1 and 2 as everywhere. The same
    command looks again; it warns when the first time to answer ran out, and ends the demand after the second.
    """
    if model + (row is not None) + manifest != 1 or model != (shard is not None):
        raise UsageError("name --model with --shard K, or --row N alone, or --manifest alone")
    with open_client(network, wallet) as client:
        wanted = client.demand_of(dataset, shard=shard, row=row, manifest=manifest, order=order_file)
        raise typer.Exit(follow(wanted, wait=wait, confirmed=yes))


def follow(demand: Demand, *, wait: bool = True, confirmed: bool = False) -> int:
    """Tell, ask, send, wait; returns the exit status."""
    from tessera.client.demand import DemandState, Waiting

    if demand.is_over:
        say(f"{demand.words}: whoever has to show it is convicted already, there is nothing left to demand")
        return PROVEN
    standing = demand.standing()
    if standing is not None:
        say(
            f"a demand for the {standing.kind.name.lower()} of {_whose(demand)} is open since earlier, by "
            f"{standing.demander}"
        )
    elif not _send_demand(demand, confirmed=confirmed):
        return STANDING

    def tell(waiting: Waiting) -> None:
        by = local_time(waiting.demand.answer_by, waiting.now)
        if waiting.warned:
            say(f"the first time to answer passed and was warned about; the second and last one ends at {by}")
        else:
            say(f"to be answered by {by}; then a second time of the same length begins")
        if not wait:
            remark(
                "the same command looks again, warns when the first time ran out, and ends it after the second"
            )

    result = demand.follow(wait=wait, tell=tell)
    if result.state is DemandState.OPEN:
        return STANDING
    if result.state is DemandState.ANSWERED:
        _say_answered(demand)
        return DONE
    paid = (
        "the broker loses its bond, and its fee comes back to the buyer at the settlement"
        if demand.is_manifest
        else _say_outcome(demand)
    )
    if result.receipt is None or result.before is None or result.after is None:
        say(f"{demand.words} was not shown: {paid}")
        return PROVEN
    say(
        f"not answered in two times: {paid} (transaction {result.receipt.hash}, gas {result.receipt.gas_used:,}). "
        "Your deposit is back"
    )
    _show_accounts(result.before, result.after, demand.chain.deployment.unit)
    return PROVEN


def _whose(demand: Demand) -> str:
    return f"data set {demand.record.id}" if demand.is_manifest else f"shard {demand.shard}"


def _say_outcome(demand: Demand) -> str:
    """What became of the shard's data set."""
    record = demand.chain.dataset(demand.record.id)
    if not record.stands:
        return f"data set {record.id} is revoked and the buyer is paid back"
    rows = demand.record.shard(demand.shard).rows
    return (
        f"shard {demand.shard} of data set {record.id} is revoked: its {rows:,} rows are not part of it any more, and "
        "their part of the price comes back to the buyer at the settlement"
    )


def _say_answered(demand: Demand) -> None:
    if demand.is_manifest:
        say(
            f"answered: {demand.words} is on chain, where `tessera verify` and `tessera download` read it if no store "
            "has it"
        )
        return
    say(
        f"answered: {demand.words} is on chain and the window is open once more; `tessera challenge --dataset "
        f"{demand.record.id}` reads it from there if the files do not open"
    )


def _send_demand(demand: Demand, *, confirmed: bool) -> bool:
    """Pays the deposit and demands; False when the person declined."""
    demand.check()
    who = "broker" if demand.is_manifest else "contributor"
    is_public = demand.is_manifest or demand.terms.is_open
    private = "" if is_public else ", for everybody and for ever, although the order is private"
    fate = (
        "the broker loses its bond and its fee"
        if demand.is_manifest
        else "the shard is revoked and its part of the price comes back to the buyer"
    )
    say(
        f"what this does: {who} {demand.answerer} must show {demand.words} in clear on the public chain{private}. "
        f"There are two times to answer, each {duration(demand.terms.answer_seconds)}. Your deposit of "
        f"{demand.chain.deployment.unit.shown(demand.deposit_wei)} is burned when it is answered; without an answer it "
        f"comes back, and {fate}"
    )
    if not _agreed("Send the demand?", confirmed=confirmed):
        return False
    receipt = demand.send()
    say(f"demanded {demand.words} (transaction {receipt.hash}, gas {receipt.gas_used:,})")
    return True


def _agreed(question: str, *, confirmed: bool) -> bool:
    """Asks unless that was answered on the command line."""
    if confirmed:
        return True
    if not err.is_terminal:
        raise UsageError("nobody is there to agree to that: pass --yes")
    if typer.confirm(question, err=True):
        return True
    remark("nothing was sent")
    return False


def _show_accounts(before: Mapping[str, int], after: Mapping[str, int], unit: TokenUnit) -> None:
    """The accounts in wei and their changes, the sum, and whether all of it is accounted for."""
    from rich import box
    from rich.table import Table

    table = Table(
        title="tokens in wei (gas apart)", title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0)
    )
    table.add_column("account", no_wrap=True)
    for heading in ("before", "after", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, held in before.items():
        label = name.replace(" 0x", "\n0x")
        table.add_row(label, str(held), str(after[name]), f"{after[name] - held:+d}")
    left = sum(after.values()) - sum(before.values())
    table.add_row("sum", str(sum(before.values())), str(sum(after.values())), f"{left:+d}", end_section=True)
    out.print(table)
    if left == 0:
        say("adds up to the wei: nothing came from elsewhere, nothing is missing")
    else:
        say(
            f"{unit.shown(abs(left))} {'more' if left > 0 else 'less'} than before in these accounts: another "
            "transaction touched them at the same time"
        )
