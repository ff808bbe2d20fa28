"""A call has one effect: under fee spikes, kills, forgetful and lying nodes, other processes, replaced blocks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from provenance.chain.abi import interface
from provenance.chain.deployment import CONTRACTS
from provenance.chain.errors import ChainError, ChainUnavailableError, OutboxError
from provenance.chain.fees import FeeCeilingError, Fees
from provenance.chain.finality import LATEST, Finality
from provenance.chain.ports import TxReceipt
from provenance.chain.rpc import Rpc
from provenance.chain.sender import PATIENT_BLOCKS, REMEMBERED_BLOCKS, TransactionSender
from provenance.crypto.signing import Signer
from provenance.values import Address, sha256
from tests.provenance.chain.conftest import Market
from tests.provenance.chain.killed_sender import Sending
from tests.waiting import HANG_SECONDS, until

GWEI = 10**9
TIMES = 20


class Account:
    """A funded key with an outbox, and an address whose balance counts the effects of what it sends."""

    def __init__(self, market: Market, name: str, folder: Path) -> None:
        self.name = name
        self.signer = Signer(bytes(sha256(name.encode())))
        self.market, self.folder, self.rpc = market, folder, market.chain.rpc
        self.target = Address(sha256(b"target" + name.encode())[:20])
        market.fund(self.signer)
        self._before = self.effects()

    def call(self, amount: int = 1) -> tuple[Address, bytes, str]:
        data = interface(CONTRACTS["token"]).encode_call("mint", (self.target, amount))
        return self.market.chain.deployment.token, data, "TestToken.mint"

    def sender(self, rpc: Rpc | None = None, **options: Any) -> TransactionSender:
        chosen = {"outbox": self.folder, "finality": LATEST, **options}
        return TransactionSender(rpc or self.rpc, self.signer, **chosen)

    def effects(self) -> int:
        return self.market.chain.balance(self.target)

    def nonces(self) -> tuple[int, int]:
        """Mined, and with what is pending."""
        count = (
            self.rpc.integer("eth_getTransactionCount", str(self.signer.address), each) for each in WORDS
        )
        mined, pending = count
        return mined, pending

    def waits(self, pending: int = 1) -> None:
        """Until so many transactions wait for a block."""
        until(lambda: self.nonces()[1] - self.nonces()[0] >= pending, "the transaction to become pending")

    def pool(self) -> list[dict[str, str]]:
        """The account's transactions that no block has yet."""
        content = self.rpc.request("txpool_content")
        return [
            each
            for part in ("pending", "queued")
            for owner, waiting in content[part].items()
            if Address.parse(owner) == self.signer.address
            for each in waiting.values()
        ]

    def open_intents(self) -> list[str]:
        """Stored transactions of which no effect is known."""
        return [path.name for path in self.folder.glob("*/*.json") if '"mined":null' in path.read_text()]

    def is_tidy(self) -> None:
        """No gap, nothing pending, nothing open."""
        mined, pending = self.nonces()
        assert mined == pending
        assert self.pool() == []
        assert self.open_intents() == []


WORDS = ("latest", "pending")


@pytest.fixture
def account(market: Market, request: pytest.FixtureRequest, tmp_path: Path) -> Account:
    return Account(market, request.node.name, tmp_path / "outbox")


@contextmanager
def paused(market: Market) -> Iterator[None]:
    """A chain that mines only when told."""
    market.chain.rpc.request("evm_setAutomine", False)
    try:
        yield
    finally:
        market.chain.rpc.request("evm_setAutomine", True)
        market.mine(1)


def cost(market: Market, base_fee: int) -> int:
    """Mines a block with this base fee: empty ones have lowered it, maybe to nothing."""
    market.chain.rpc.request("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
    market.mine(1)
    return base_fee


@contextmanager
def sending(sender: TransactionSender, call: tuple[Address, bytes, str]) -> Iterator[Future[TxReceipt]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(sender.send, *call)


def mined_meanwhile(market: Market, sent: Future[Any]) -> Any:
    """The result, with a block whenever it is not there yet."""

    def look() -> bool:
        if not sent.done():
            market.mine(1)
        return sent.done()

    until(look, "the transaction to be mined", pause_seconds=0.1)
    return sent.result()


class StubbornRpc(Rpc):
    """Answers as it is told to, and truly otherwise."""

    def __init__(self, url: str, answer: Callable[[str, Callable[[], Any]], Any]) -> None:
        super().__init__(url)
        self._answer = answer

    def attempt(self, method: str, params: tuple[Any, ...], action: str) -> Any:
        return self._answer(method, lambda: Rpc.attempt(self, method, params, action))


# --- fees


def test_fee_spike_replaces_the_transaction_and_it_lands_once(account: Account) -> None:
    """The base fee grows twentyfold while the transaction waits: blocks pass it by until it pays more."""
    market, rpc = account.market, account.rpc
    base = cost(market, 10 * GWEI)
    with paused(market), sending(account.sender(), account.call()) as sent:
        account.waits()
        (old,) = account.pool()
        rpc.request("anvil_setNextBlockBaseFeePerGas", hex(20 * base))
        market.mine(PATIENT_BLOCKS)
        assert account.effects() == 0
        receipt = mined_meanwhile(market, sent)
    new = rpc.request("eth_getTransactionByHash", str(receipt.hash))
    assert new["nonce"] == old["nonce"]
    for fee in ("maxFeePerGas", "maxPriorityFeePerGas"):
        assert int(new[fee], 16) * 8 > int(old[fee], 16) * 9
    assert int(new["maxFeePerGas"], 16) > 15 * base
    assert account.effects() == 1
    account.is_tidy()


def test_ceiling_is_told_in_gwei_before_anything_is_sent(account: Account) -> None:
    with pytest.raises(FeeCeilingError, match=r"asks for [0-9.]+ gwei .* ceiling is 0\.000000001 gwei"):
        account.sender(max_fee_wei=1).send(*account.call())
    account.is_tidy()


def test_ceiling_ends_the_raising_and_is_told(account: Account) -> None:
    market, rpc = account.market, account.rpc
    ceiling = 3 * cost(market, 10 * GWEI)
    with paused(market):
        sender = account.sender(max_fee_wei=ceiling, wait_seconds=2.0)
        with sending(sender, account.call()) as sent:
            account.waits()
            rpc.request("anvil_setNextBlockBaseFeePerGas", hex(20 * ceiling))
            market.mine(PATIENT_BLOCKS)
            with pytest.raises(
                ChainUnavailableError, match=r"asks for [0-9.]+ gwei .* the ceiling is [0-9.]+ gwei"
            ):
                sent.result(HANG_SECONDS)
        rpc.request("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    # The same call goes on with what is on its way.
    account.sender().send(*account.call())
    assert account.effects() == 1
    account.is_tidy()


def test_a_replacement_offers_an_eighth_more_of_both_fees() -> None:
    for fees in (Fees(0, 0), Fees(7, 1), Fees(8, 8), Fees(10**11 + 3, 10**9 + 1)):
        raised = fees.raised()
        assert raised.most * 8 >= fees.most * 9
        assert raised.tip * 8 >= fees.tip * 9
        assert raised.most > fees.most
        assert raised.tip > fees.tip


# --- kills


@pytest.mark.parametrize("mines", [True, False], ids=["mined at once", "mined later"])
def test_killed_at_any_point_a_call_has_one_effect(account: Account, mines: bool) -> None:
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    market, chance = account.market, random.Random(seed)
    call, killed = account.call(), sending_by(account, 1)
    points = killed.points()
    with ThreadPoolExecutor(1) as pool:
        for n in range(TIMES // 2):
            before, point = account.effects(), chance.randrange(points)
            told = f"seed {seed}, kill {n} at point {point}"
            if mines:
                killed.send_and_die(point)
                account.sender().send(*call)
            else:
                with paused(market):
                    killed.send_and_die(point)
                    if chance.random() < 0.5:
                        market.mine(1)
                    mined_meanwhile(market, pool.submit(account.sender().send, *call))
            assert account.effects() == before + 1, told
            account.is_tidy()


@pytest.mark.parametrize("mines", [True, False], ids=["mined at once", "mined later"])
def test_killed_at_any_point_another_call_follows_and_no_nonce_is_lost(account: Account, mines: bool) -> None:
    """What was sent counts, what was never sent is given up; the next call is not held up by either."""
    seed = random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")
    market, chance = account.market, random.Random(seed)
    points = sending_by(account, 1).points()
    with ThreadPoolExecutor(1) as pool:
        for n in range(TIMES // 2):
            before, point = account.effects(), chance.randrange(points)
            killed = sending_by(account, n + 2)
            if mines:
                killed.send_and_die(point)
                account.sender().send(*account.call(1000))
            else:
                with paused(market):
                    killed.send_and_die(point)
                    mined_meanwhile(market, pool.submit(account.sender().send, *account.call(1000)))
            told = f"seed {seed}, kill {n} at point {point}"
            assert account.effects() - before in (1000, 1000 + n + 2), told
            account.is_tidy()


def sending_by(account: Account, amount: int) -> Sending:
    to, data, _ = account.call(amount)
    secret = bytes(sha256(account.name.encode()))
    return Sending(account.market.rpc_url, secret, account.folder, to, data)


def test_call_that_gave_up_waiting_goes_on_with_its_transaction(account: Account) -> None:
    with paused(account.market):
        with pytest.raises(ChainUnavailableError, match="the same call goes on with it"):
            account.sender(wait_seconds=0.1).send(*account.call())
        account.market.mine(1)
        assert account.effects() == 1
        receipt = account.sender().send(*account.call())
    assert account.effects() == 1
    assert receipt.block < account.market.chain.block_number()


def test_mined_transaction_answers_for_an_equal_call_only_for_a_while(account: Account) -> None:
    """Another call finds it mined; the call whose it was comes soon after, and is not sent twice. Much later, it is
    a new wish.
    """
    with paused(account.market), pytest.raises(ChainUnavailableError):
        account.sender(wait_seconds=0.1).send(*account.call(1))
    account.sender().send(*account.call(1000))
    account.sender().send(*account.call(1))
    assert account.effects() == 1001
    with paused(account.market), pytest.raises(ChainUnavailableError):
        account.sender(wait_seconds=0.1).send(*account.call(1))
    account.sender().send(*account.call(1000))
    account.market.mine(REMEMBERED_BLOCKS)
    account.sender().send(*account.call(1))
    assert account.effects() == 2003
    account.is_tidy()


def test_unsent_transaction_in_the_way_is_cancelled(account: Account) -> None:
    """The first of two never reached a node, the second waits behind it."""

    def loses_the_first(method: str, answer: Callable[[], Any]) -> Any:
        if method == "eth_sendRawTransaction":
            raise ChainUnavailableError("lost")
        return answer()

    def lost() -> None:
        sender = account.sender(StubbornRpc(account.market.rpc_url, loses_the_first))
        with pytest.raises(ChainUnavailableError, match="lost"):
            sender.send(*account.call(1))

    market = account.market
    with paused(market), sending(account.sender(wait_seconds=0.5), account.call(10)) as second:
        account.waits()
        with pytest.raises(ChainUnavailableError):
            second.result(HANG_SECONDS)
        account.rpc.request("anvil_dropAllTransactions")
        (path,) = account.folder.glob("*/*.json")
        behind = path.with_name(f"{int(path.stem) + 1}.json")
        text = path.read_text()
        path.unlink()
        lost()
        assert path.exists()
        behind.write_text(text.replace(f'"nonce":{path.stem}', f'"nonce":{behind.stem}'))
    account.sender().send(*account.call(100))
    account.is_tidy()
    assert account.effects() in (100, 110)


# --- nodes


def test_transaction_that_the_node_forgot_is_sent_again(account: Account) -> None:
    with paused(account.market), sending(account.sender(), account.call()) as sent:
        account.waits()
        (pending,) = account.pool()
        account.rpc.request("anvil_dropTransaction", pending["hash"])
        account.waits()
        receipt = mined_meanwhile(account.market, sent)
    assert str(receipt.hash) == pending["hash"]
    assert account.effects() == 1


@pytest.mark.parametrize(
    ("method", "lie"),
    [
        ("eth_getTransactionReceipt", None),
        ("eth_getTransactionByHash", None),
        ("eth_getTransactionReceipt", {"blockNumber": None}),
    ],
)
def test_node_that_denies_a_mined_transaction_gets_no_second_one(
    account: Account, method: str, lie: object
) -> None:
    def lies(asked: str, answer: Callable[[], Any]) -> Any:
        return lie if asked == method and is_lying else answer()

    is_lying = True
    sender = account.sender(StubbornRpc(account.market.rpc_url, lies), wait_seconds=1.0)
    if method == "eth_getTransactionReceipt":
        with pytest.raises(ChainUnavailableError, match="the node has no receipt"):
            sender.send(*account.call())
        with pytest.raises(ChainUnavailableError, match="the node has no receipt"):
            sender.send(*account.call())
        is_lying = False
    sender.send(*account.call())
    assert account.effects() == 1
    account.is_tidy()


def test_node_that_says_pending_for_ever_gets_no_second_transaction(account: Account) -> None:
    """It shows no receipt, no use of the nonce, and the transaction without a block."""
    before, is_lying = account.nonces()[0], True

    def lies(method: str, answer: Callable[[], Any]) -> Any:
        if not is_lying:
            return answer()
        if method == "eth_getTransactionReceipt":
            return None
        if method == "eth_getTransactionCount":
            return hex(before)
        found = answer()
        return {**found, "blockNumber": None} if method == "eth_getTransactionByHash" and found else found

    sender = account.sender(StubbornRpc(account.market.rpc_url, lies), wait_seconds=0.5)
    for _ in range(2):
        with pytest.raises(ChainUnavailableError):
            sender.send(*account.call())
        account.market.mine(PATIENT_BLOCKS)
    is_lying = False
    sender.send(*account.call())
    assert account.effects() == 1
    account.is_tidy()


def test_nonce_too_low_for_a_transaction_that_was_mined_gets_no_second_one(account: Account) -> None:
    """The answer to the first sending is lost on the way, the second is refused."""
    times = 0

    def sends_twice(method: str, answer: Callable[[], Any]) -> Any:
        nonlocal times
        if method == "eth_sendRawTransaction":
            times += 1
            answer()
        return answer()

    account.sender(StubbornRpc(account.market.rpc_url, sends_twice)).send(*account.call())
    assert times == 1
    assert account.effects() == 1
    account.is_tidy()


def test_account_without_money_for_gas_is_told_and_can_go_on(account: Account) -> None:
    account.rpc.request("anvil_setBalance", str(account.signer.address), "0x1")
    with pytest.raises(ChainError):
        account.sender().send(*account.call())
    account.rpc.request("anvil_setBalance", str(account.signer.address), hex(10**18))
    account.sender().send(*account.call())
    assert account.effects() == 1
    account.is_tidy()


# --- other processes


@pytest.mark.parametrize("shared", [True, False], ids=["one outbox", "an outbox each"])
def test_two_processes_with_one_key_lose_nothing(account: Account, tmp_path: Path, shared: bool) -> None:
    folders = [account.folder, account.folder if shared else tmp_path / "other"]
    senders = [account.sender(Rpc(account.market.rpc_url), outbox=folder) for folder in folders]
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda n: senders[n % 2].send(*account.call()), range(16)))
    assert len({receipt.hash for receipt in receipts}) == 16
    assert account.effects() == 16
    account.is_tidy()


def test_living_process_keeps_what_it_looks_after(account: Account) -> None:
    """A second process with the same call means a second effect: the first one's is not left behind."""
    with paused(account.market), ThreadPoolExecutor(2) as pool:
        first = pool.submit(account.sender().send, *account.call())
        account.waits(1)
        second = pool.submit(account.sender(Rpc(account.market.rpc_url)).send, *account.call())
        account.waits(2)
        receipts = {mined_meanwhile(account.market, sent).hash for sent in (first, second)}
    assert len(receipts) == 2
    assert account.effects() == 2


def test_chain_that_was_started_anew_does_not_hold_up_old_transactions(account: Account) -> None:
    """The outbox is of a chain that had gone further."""
    with paused(account.market), pytest.raises(ChainUnavailableError):
        account.sender(wait_seconds=0.1).send(*account.call(1000))
    (path,) = account.folder.glob("*/*.json")
    text, nonce = path.read_text(), int(path.stem)
    account.sender().send(*account.call())
    later = text.replace(f'"nonce":{nonce}', f'"nonce":{nonce + 50}').replace('"block":', '"block":9')
    path.with_name(f"{nonce + 50}.json").write_text(later)
    before = account.effects()
    account.sender().send(*account.call())
    assert account.effects() == before + 1
    account.is_tidy()


def test_damaged_outbox_stops_before_anything_is_sent(account: Account) -> None:
    folder = account.folder / f"31337-{str(account.signer.address).lower()}"
    folder.mkdir(parents=True)
    (folder / "3.json").write_text("{")
    before = account.nonces()
    with pytest.raises(OutboxError, match="look up nonce 3 of the account, then remove the file"):
        account.sender().send(*account.call())
    assert account.nonces() == before


# --- replaced blocks


def test_send_returns_when_its_block_is_deep_enough(account: Account) -> None:
    with sending(account.sender(finality=Finality.parse("3")), account.call()) as sent:
        until(lambda: account.effects() == 1, "the transaction to be mined")
        assert not sent.done()
        account.market.mine(3)
        receipt = sent.result(HANG_SECONDS)
    assert account.market.chain.block_number() == receipt.block + 3


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("forgotten", [True, False], ids=["node forgets it", "node keeps it"])
def test_reorganised_away_it_is_sent_again_and_lands_once(
    account: Account, depth: int, forgotten: bool
) -> None:
    """The last blocks, the transaction's among them, are replaced by empty ones before it is deep enough."""
    market, rpc = account.market, account.rpc
    market.mine(1)  # what came before is not replaced
    with paused(market), sending(account.sender(finality=Finality.parse("3")), account.call()) as sent:
        account.waits()
        (pending,) = account.pool()
        market.mine(depth)
        assert account.effects() == 1
        rpc.request("anvil_reorg", depth, [])
        if forgotten:
            rpc.request("anvil_dropAllTransactions")
        assert account.effects() == 0
        receipt = mined_meanwhile(market, sent)
    assert account.effects() == 1
    assert rpc.request("eth_getTransactionReceipt", str(receipt.hash)) is not None
    assert rpc.request("eth_getTransactionByHash", str(receipt.hash))["nonce"] == pending["nonce"]
    account.is_tidy()


def test_what_is_deep_enough_outlives_a_reorganisation_of_that_depth(account: Account) -> None:
    market = account.market
    with sending(account.sender(finality=Finality.parse("3")), account.call()) as sent:
        receipt = mined_meanwhile(market, sent)
    account.rpc.request("anvil_reorg", 3, [])
    assert account.effects() == 1
    found = account.rpc.request("eth_getTransactionReceipt", str(receipt.hash))
    assert int(found["blockNumber"], 16) == receipt.block
