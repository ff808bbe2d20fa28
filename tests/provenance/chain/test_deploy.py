"""Deploying a market: addresses that are known before, runs that go on, tokens and chains that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from provenance.chain.abi import interface
from provenance.chain.deploy import Made, deploy_all, deploy_market, deploy_test_token
from provenance.chain.deployment import CONTRACTS, Deployment, MarketParameters
from provenance.chain.errors import DeploymentError
from provenance.chain.fees import TRANSACTION_GAS_CAP
from provenance.chain.market_plan import CREATE2_DEPLOYER, MarketPlan
from provenance.chain.ports import OrderLimits
from provenance.chain.reader import ChainReader
from provenance.chain.rpc import Rpc, unhex
from provenance.chain.sender import TransactionSender
from provenance.chain.token import inspect_token
from provenance.crypto.permit import sign_permit
from provenance.crypto.signing import Signer
from provenance.units import TokenUnit
from provenance.values import Address, sha256
from tests import anvil
from tests.provenance.chain.foreign_tokens import deploy_token
from tests.provenance.chain.uptime_feeds import feed_code

BANK = Signer(anvil.DEVELOPMENT_KEY)
MOST_CODE = 24_576
DOMAINS = ("escrow", "commitment", "datasets", "rewards", "challenges", "demands")


@dataclass
class Chain:
    """A node, and an account that pays."""

    url: str
    rpc: Rpc
    sender: TransactionSender

    def blocks(self) -> int:
        return self.rpc.integer("eth_blockNumber")

    def token(self, name: str) -> Address:
        return deploy_token(self.rpc, self.sender, name)


@contextmanager
def started(*options: str) -> Iterator[Chain]:
    with anvil.running_anvil(*options) as url:
        rpc = Rpc(url)
        yield Chain(url, rpc, TransactionSender(rpc, BANK))
        rpc.close()


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """With the limits of Ethereum: 16,777,216 gas a transaction, 24,576 bytes of code."""
    with started("--hardfork", "osaka", "--enable-tx-gas-limit") as chain:
        yield chain


@pytest.fixture(scope="module")
def dollar(chain: Chain) -> Address:
    return chain.token("DollarToken")


class StoppedError(Exception):
    """The process ends here."""


def test_a_run_that_is_interrupted_after_every_transaction_goes_on(chain: Chain, dollar: Address) -> None:
    plan = MarketPlan(dollar, MarketParameters(), sha256(b"interrupted"))
    sent = []

    def stop_after_one(made: Made) -> None:
        if made.receipt is not None:
            sent.append(made.contract)
            raise StoppedError

    for run in range(len(plan.creations)):
        with pytest.raises(StoppedError):
            deploy_market(chain.rpc, chain.sender, plan, tell=stop_after_one)
        assert len(sent) == run + 1, "one transaction a run, none twice"
    blocks = chain.blocks()
    found = deploy_market(chain.rpc, chain.sender, plan, tell=stop_after_one)
    assert chain.blocks() == blocks, "nothing was left to send"
    assert sent == [each.contract for each in plan.creations]
    assert found.contracts() == plan.addresses
    assert found.unit == TokenUnit(6, "TUSD")
    code = chain.rpc.request("eth_getCode", str(plan.deployer.address), hex(found.block))
    assert code != "0x", "the block is the one of the first contract"
    assert chain.rpc.request("eth_getCode", str(plan.deployer.address), hex(found.block - 1)) == "0x"


def test_a_run_that_ended_with_a_transaction_on_its_way_goes_on() -> None:
    with started("--no-mining") as chain:
        chain.rpc.request("evm_setAutomine", True)
        dollar = chain.token("DollarToken")
        plan = MarketPlan(dollar, MarketParameters())
        chain.rpc.request("evm_setAutomine", False)
        impatient = TransactionSender(chain.rpc, BANK, wait_seconds=0.1)
        with pytest.raises(Exception, match="was not mined within"):
            deploy_market(chain.rpc, impatient, plan)
        chain.rpc.request("evm_setAutomine", True)
        chain.rpc.request("evm_mine")
        found = deploy_market(chain.rpc, chain.sender, plan)
        assert found.contracts() == plan.addresses


def test_transactions_and_codes_keep_to_the_limits_of_ethereum(chain: Chain, dollar: Address) -> None:
    plan = MarketPlan(dollar, MarketParameters(), sha256(b"limits"))
    made: list[Made] = []
    deploy_market(chain.rpc, chain.sender, plan, tell=made.append)
    for each in made:
        assert each.receipt is not None
        found = chain.rpc.request("eth_getTransactionByHash", str(each.receipt.hash))
        assert int(found["gas"], 16) <= TRANSACTION_GAS_CAP, each.contract
        code = unhex(chain.rpc.request("eth_getCode", str(each.address), "latest"))
        assert 0 < len(code) <= MOST_CODE, each.contract


def test_addresses_are_those_of_another_chain_and_another_account(chain: Chain) -> None:
    found = deploy_all(chain.url, BANK)
    with started("--chain-id", "1337") as other:
        account = Signer(b"\x07" * 32)
        other.sender.send(account.address, b"", "gas", value_wei=10**18)
        again = deploy_all(other.url, account)
    assert again.contracts() == found.contracts()
    assert (found.chain_id, again.chain_id) == (31337, 1337)


def test_another_salt_or_parameter_is_another_market(dollar: Address) -> None:
    chosen = MarketParameters()
    plans = [
        MarketPlan(dollar, chosen),
        MarketPlan(dollar, chosen, sha256(b"")),
        MarketPlan(dollar, replace(chosen, min_answer_seconds=901)),
        MarketPlan(dollar, replace(chosen, min_bond=1_001)),
    ]
    assert len({each.addresses["escrow"] for each in plans}) == len(plans)


def test_what_is_no_uptime_feed_is_refused_before_anything_is_sent(chain: Chain, dollar: Address) -> None:
    feed, blocks = Address(b"\xfe" * 20), chain.blocks()
    plan = MarketPlan(dollar, MarketParameters(uptime_feed=feed))
    for code, words in (
        ("0x", "there is no contract at"),
        ("0x60206000f3", "gives 32 bytes, expected 160"),
        ("0x60006000fd", "no latestRoundData that can be read"),
        (feed_code(4_120, 1_800_000_000), "answers 4120, expected 0 .up. or 1 .down."),
    ):
        chain.rpc.request("anvil_setCode", str(feed), code)
        with pytest.raises(DeploymentError, match=words):
            deploy_market(chain.rpc, chain.sender, plan)
    assert chain.blocks() == blocks


def test_a_market_keeps_its_uptime_feed_and_counts_outages_in(chain: Chain, dollar: Address) -> None:
    feed, day = Address(b"\xfe" * 20), 86_400
    chain.rpc.request("anvil_setCode", str(feed), feed_code(0, 0))
    without, plan = (MarketPlan(dollar, MarketParameters(uptime_feed=each)) for each in (None, feed))
    assert plan.addresses["escrow"] != without.addresses["escrow"]
    deployment = deploy_market(chain.rpc, chain.sender, plan)
    assert deployment.document()["parameters"] == MarketParameters().document() | {"uptimeFeed": str(feed)}
    assert Deployment.parse(deployment.document()).parameters == plan.parameters
    with ChainReader(chain.url, deployment) as reader:
        assert reader.uptime_feed() == feed
        now = reader.chain_time()
        assert reader.end_of(now - 5, 3_600) == now - 5, "it has heard of no outage"
        chain.rpc.request("anvil_setCode", str(feed), feed_code(0, now))
        assert reader.end_of(now - 5, 3_600) == now + 3_600, "the chain came back now"
        assert reader.end_of(now - 2 * day - 5, 3_600) == now - 5, "two days at most"
    with ChainReader(chain.url, deploy_market(chain.rpc, chain.sender, without)) as reader:
        assert reader.uptime_feed() is None
        assert reader.end_of(now - 5, 3_600) == now - 5


def test_contracts_name_each_other_and_their_parameters(chain: Chain, dollar: Address) -> None:
    chosen = MarketParameters(5, 3, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    deployment = deploy_market(chain.rpc, chain.sender, MarketPlan(dollar, chosen))
    assert deployment.parameters == chosen
    found = deployment.contracts()

    def asked(role: str, function: str) -> object:
        contract = interface(CONTRACTS[role])
        answer = chain.rpc.call(found[role], contract.encode_call(function, ()))
        (value,) = contract.decode_result(function, answer).values()
        return value

    names = {*CONTRACTS, "token"}
    links = {
        (role, function)
        for role in CONTRACTS
        for function in interface(CONTRACTS[role]).functions
        if function in names and not interface(CONTRACTS[role]).functions[function].inputs
    }
    assert len(links) > 20
    for role, function in links:
        assert asked(role, function) == found[function], (role, function)
    assert asked("registry", "unbondingSeconds") == 5
    assert asked("commitment", "seedDelayBlocks") == 3
    with ChainReader(chain.url, deployment) as reader:
        assert reader.limits() == OrderLimits(7, 11, 13, 17, 19, 23, 29, 31, 37)


@pytest.mark.parametrize("role", DOMAINS)
def test_a_contract_that_checks_signatures_names_its_domain(chain: Chain, role: str) -> None:
    """ERC-5267."""
    deployment = deploy_all(chain.url, BANK)
    contract = interface(CONTRACTS[role])
    answer = chain.rpc.call(deployment.address(role), contract.encode_call("eip712Domain", ()))
    found = contract.decode_result("eip712Domain", answer)
    assert found == {
        "fields": b"\x0f",
        "name": "Tessera",
        "version": "1",
        "chainId": 31337,
        "verifyingContract": deployment.escrow,
        "salt": bytes(32),
        "extensions": (),
    }
    if role == "escrow":
        separator = chain.rpc.call(deployment.escrow, contract.encode_call("DOMAIN_SEPARATOR", ()))
        assert deployment.domain.separator() == separator


def test_other_code_at_an_address_is_not_taken_for_the_contract(chain: Chain, dollar: Address) -> None:
    plan = MarketPlan(dollar, MarketParameters(), sha256(b"occupied"))
    deploy_market(chain.rpc, chain.sender, plan)
    code = chain.rpc.request("eth_getCode", str(plan.addresses["rewards"]), "latest")
    flipped = bytearray(unhex(code))
    flipped[0] ^= 1
    chain.rpc.request("anvil_setCode", str(plan.addresses["rewards"]), "0x" + flipped.hex())
    with pytest.raises(DeploymentError, match="is not Rewards of this release"):
        deploy_market(chain.rpc, chain.sender, plan)


# -- the deterministic deployer


def test_a_local_chain_without_the_deterministic_deployer_gets_it() -> None:
    with started("--disable-default-create2-deployer") as chain:
        assert chain.rpc.request("eth_getCode", str(CREATE2_DEPLOYER), "latest") == "0x"
        found = deploy_all(chain.url, BANK)
        assert found.contracts() == MarketPlan(found.token, MarketParameters()).addresses


def test_another_chain_without_it_is_refused() -> None:
    with (
        started("--disable-default-create2-deployer", "--chain-id", "8453") as chain,
        pytest.raises(DeploymentError, match="chain 8453 has no deterministic deployer at 0x4e59b448"),
    ):
        deploy_all(chain.url, BANK)


# -- tokens


def test_the_permit_of_a_token_without_erc_5267_is_signed_under_its_own_version(
    chain: Chain, dollar: Address
) -> None:
    found = inspect_token(chain.rpc, dollar)
    assert (found.name, found.unit) == ("Test Dollar", TokenUnit(6, "TUSD"))
    assert (found.domain.name, found.domain.version) == ("Test Dollar", "2")
    deployment = deploy_market(chain.rpc, chain.sender, MarketPlan(dollar, MarketParameters()))
    with ChainReader(chain.url, deployment) as reader:
        owner = Signer(b"\x31" * 32)
        message = reader.permit_message(owner.address, 12_500_000, reader.chain_time() + 60)
        permit = sign_permit(owner, reader.token_domain(), message)
        arguments = (
            message.owner,
            message.spender,
            message.value,
            *(permit.deadline, permit.v, permit.r, permit.s),
        )
        data = interface("TestToken").encode_call("permit", arguments)
        chain.sender.send(dollar, data, "permit")
        assert reader.allowance(owner.address, deployment.escrow) == 12_500_000


def test_the_test_token_has_the_decimals_that_were_asked_for(chain: Chain) -> None:
    token = deploy_test_token(chain.rpc, chain.sender, 6)
    assert inspect_token(chain.rpc, token).unit == TokenUnit(6, "TTT")
    assert deploy_all(chain.url, BANK, decimals=6).unit == TokenUnit(6), "amounts are just tokens"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("PlainToken", "has no DOMAIN_SEPARATOR: it has no permits"),
        ("OddDomainToken", "which is not that of its name, version, chain id and address"),
        ("PhantomPermitToken", "takes a permit that its owner did not sign"),
        ("FineToken", "found 24, expected a number from 0 to 18"),
    ],
)
def test_a_token_that_no_market_can_use_is_refused(chain: Chain, name: str, words: str) -> None:
    plan = MarketPlan(chain.token(name), MarketParameters())
    blocks = chain.blocks()
    with pytest.raises(DeploymentError, match=words):
        deploy_market(chain.rpc, chain.sender, plan)
    assert chain.blocks() == blocks, "nothing was sent"


def test_an_address_without_a_token_is_refused(chain: Chain) -> None:
    with pytest.raises(DeploymentError, match="there is no contract at"):
        inspect_token(chain.rpc, Address(b"\x05" * 20))
    registry = deploy_all(chain.url, BANK).registry
    with pytest.raises(DeploymentError, match=r"decimals of the token .* found nothing"):
        inspect_token(chain.rpc, registry)


# -- the document


def test_a_document_says_what_was_chosen_and_decimals_that_are_not_18(chain: Chain) -> None:
    old = deploy_all(chain.url, BANK)
    assert set(old.document()) == {"format", "chainId", "block", "contracts", "parameters"}
    assert Deployment.parse(old.document()) == old
    assert Deployment.parse(old.document()).parameters == MarketParameters()
    before = {name: value for name, value in old.document().items() if name != "parameters"}
    assert Deployment.parse(before) == old, "addresses are the same market"
    new = replace(old, unit=TokenUnit(6, "USDC"))
    document = json.loads(json.dumps(new.document()))
    assert document["token"] == {"symbol": "USDC", "decimals": 6}
    assert Deployment.parse(document) == new
    assert Deployment.parse(document).parameters == old.parameters
