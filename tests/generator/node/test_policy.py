"""The policy matrix, and policy files that cannot be used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from generator.errors import SettingsError
from generator.node.policy import DEFAULT_TEXT, Decision, Policy, Proposal
from provenance.record.terms import OrderTerms
from provenance.units import TokenUnit
from provenance.values import Address, Digest

BUYER = Address(bytes([1]) * 20)
NO_DIGEST = Digest(bytes(32))
TERMS = OrderTerms(
    buyer=BUYER,
    broker=Address(bytes([4]) * 20),
    collection=Digest(bytes([2]) * 32),
    request=NO_DIGEST,
    delivery_key=NO_DIGEST,
    rows=1000,
    epsilon_micro=1_000_000,
    delta_e12=10**7,
    min_score_micro=0,
    min_contributors=3,
    max_contributors=16,
    broker_fee_bps=500,
    match_by=10_000,
    deliver_by=13_000,
    challenge_seconds=3_600,
    answer_seconds=60,
    price=10**18,
    stake=10**17,
    bond=10**17,
    royalty_bps=0,
    conditions=NO_DIGEST,
    parents=NO_DIGEST,
    schema_digest=NO_DIGEST,
    size_class=1,
    spec_version=1,
    own_real_micro=1_000_000,
    indivisible=False,
    salt=NO_DIGEST,
)
ORDER = Proposal("adult", "Medical research", TERMS, now=9_000)


def order(**changes: int) -> Proposal:
    """The order with other terms."""
    return replace(ORDER, terms=replace(TERMS, **changes))  # type: ignore[arg-type]


def policy(folder: Path, text: str) -> Policy:
    (folder / "policy.toml").write_text(text)
    return Policy.read(folder)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"epsilon_micro": 0}, "policy-privacy"),
        ({"epsilon_micro": 1_000_001}, "policy-epsilon"),
        ({"delta_e12": 10**7 + 1}, "policy-delta"),
        ({"min_contributors": 1}, "policy-contributors"),
        ({"rows": 1_000_001}, "policy-rows"),
        ({"rows": 9}, "policy-rows"),
        ({"stake": 1000 * (10**21 + 1)}, "policy-stake"),
        ({"answer_seconds": 59}, "policy-answer"),
        ({"price": 10**16 - 1}, "policy-price"),
        ({"min_score_micro": 900_001}, "policy-score"),
        ({"bond": 0}, "policy-bond"),
        ({"bond": 10**16 - 1}, "policy-bond"),
        ({"broker_fee_bps": 2_001}, "policy-fee"),
        ({"deliver_by": 10_059}, "policy-delivery"),
        ({"deliver_by": 9_001 + 30 * 86_400}, "policy-delivery"),
        ({"challenge_seconds": 30 * 86_400 + 1}, "policy-window"),
    ],
)
def test_default_policy_denies_what_breaks_a_limit(tmp_path: Path, change: dict[str, int], code: str) -> None:
    verdict = policy(tmp_path, DEFAULT_TEXT).judge(order(**change))
    assert (verdict.decision, verdict.code) == (Decision.DENY, code)
    assert verdict.reason


def test_limits_are_kept_at_their_figures(tmp_path: Path) -> None:
    at_the_limits = order(
        rows=10, price=10**16, bond=10**14, min_score_micro=900_000, broker_fee_bps=2_000, deliver_by=10_060,
        challenge_seconds=30 * 86_400,
    )  # fmt: skip
    assert policy(tmp_path, DEFAULT_TEXT).judge(at_the_limits).decision is Decision.ASK


@pytest.mark.parametrize("text", ["", '[[rule]]\ndecision = "auto"\nmaximum_rows = 2000\n'])
def test_amounts_that_no_line_sets_are_tokens_of_the_market(tmp_path: Path, text: str) -> None:
    """In wei of 18 decimals no order of a token with 6 would ever pay enough."""
    rules, unit = policy(tmp_path, text), TokenUnit(6)
    for price, stake, code in (
        (unit.one // 100, 1_000 * unit.one, ""),
        (unit.one // 100 - 1, unit.one, "policy-price"),
        (unit.one, 1_000 * unit.one + 1, "policy-stake"),
    ):
        # The stake is that of all rows together; the policy's bound is one node's.
        asked = replace(order(price=price, stake=stake * TERMS.rows, bond=price), unit=unit)
        assert rules.judge(asked).code == code
    own = policy(tmp_path, 'minimum_price_wei = "7"\nmaximum_stake_wei = "8"\n')
    for price, stake, code in ((7, 8, ""), (6, 8, "policy-price"), (7, 9, "policy-stake")):
        assert (
            own.judge(replace(order(price=price, stake=stake * TERMS.rows, bond=price), unit=unit)).code
            == code
        )


@pytest.mark.parametrize(
    ("text", "found", "code"),
    [
        ("maximum_orders_per_day = 3", {"orders_today": 3}, "policy-rate"),
        ("maximum_orders_per_day = 3", {"orders_today": 2}, ""),
        ('maximum_epsilon_per_day = "4"', {"epsilon_today_micro": 3_000_001}, "policy-rate"),
        ('maximum_epsilon_per_day = "4"', {"epsilon_today_micro": 3_000_000}, ""),
        ("", {"epsilon_month_micro": 3_000_001}, "policy-rate"),
        ("", {"epsilon_month_micro": 3_000_000}, ""),
    ],
)
def test_orders_and_epsilon_of_a_day_and_a_month_are_limited(
    tmp_path: Path, text: str, found: dict[str, int], code: str
) -> None:
    assert policy(tmp_path, text).judge(replace(ORDER, **found)).code == code  # type: ignore[arg-type]


@pytest.mark.parametrize(("rows", "epsilon_micro", "code"), [
    (10_001, 1_000_000, "policy-price"),
    (10_000, 1_000_000, ""),
    (20_001, 500_000, "policy-price"),
    (20_000, 500_000, ""),
])  # fmt: skip
def test_the_privacy_of_every_declared_row_has_a_price(
    tmp_path: Path, rows: int, epsilon_micro: int, code: str
) -> None:
    """One token is 10,000 rows at epsilon 1, by default; however many synthetic rows it buys."""
    asked = replace(order(epsilon_micro=epsilon_micro), declared_rows=rows)
    assert policy(tmp_path, "").judge(asked).code == code
    assert policy(tmp_path, DEFAULT_TEXT).judge(asked).code == code


def test_the_default_file_says_what_holds_without_it(tmp_path: Path) -> None:
    written = policy(tmp_path, DEFAULT_TEXT)
    assert written.model_dump() == policy(tmp_path, "").model_dump()
    assert written.default is Decision.ASK
    assert written.all_privacy_words() == (
        "allow_without_privacy false, maximum_delta 0.00001, maximum_epsilon 1, maximum_epsilon_per_day 50, "
        "maximum_epsilon_per_month 4"
    )


def test_limits_of_privacy_in_one_line_name_the_rules_that_set_their_own(tmp_path: Path) -> None:
    text = '[[rule]]\ndecision = "auto"\n[[rule]]\ndecision = "ask"\nmaximum_epsilon = "3"\n'
    assert policy(tmp_path, text).all_privacy_words().endswith("; rule 2: maximum_epsilon 3")


def test_a_refusal_tells_nothing_of_what_other_orders_spent(tmp_path: Path) -> None:
    rules = policy(tmp_path, 'maximum_orders_per_day = 2\nmaximum_epsilon_per_day = "3"\n')
    for name, low, high in (
        ("orders_today", 2, 7),
        ("epsilon_today_micro", 2_500_000, 7_125_000),
        ("epsilon_month_micro", 3_500_000, 9_876_543),
    ):
        asked = (replace(ORDER, **{name: found}) for found in (low, high))  # type: ignore[arg-type]
        verdicts = {rules.judge(each) for each in asked}
        assert {each.code for each in verdicts} == {"policy-rate"}
        assert len({each.reason for each in verdicts}) == 1


def test_a_rule_may_take_a_broker_without_bond(tmp_path: Path) -> None:
    text = f'[[rule]]\ndecision = "auto"\nbuyer = "{BUYER}"\nminimum_bond = "0"\n'
    assert policy(tmp_path, text).judge(order(bond=0)).decision is Decision.AUTO


def test_a_rule_may_allow_a_larger_delta(tmp_path: Path) -> None:
    rules = policy(tmp_path, 'maximum_delta = "1e-4"')
    assert rules.judge(order(delta_e12=10**8)).code == ""
    assert rules.judge(order(delta_e12=10**8 + 1)).code == "policy-delta"


def test_price_below_the_minimum_a_row_is_denied(tmp_path: Path) -> None:
    rules = policy(tmp_path, 'minimum_price_per_row_wei = "1000000000000001"')
    assert rules.judge(ORDER).code == "policy-price"
    assert rules.judge(order(price=1000 * (10**15 + 1))).code == ""


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ('collection = "adult"', True),
        ('collection = "bank"', False),
        (f'collection = "{TERMS.collection}"', True),
        (f'buyer = "{BUYER}"', True),
        ('buyer = "0x2222222222222222222222222222222222222222"', False),
        ('purpose = "*RESEARCH*"', True),
        ('purpose = "advert*"', False),
        (f'collection = "adult"\nbuyer = "{BUYER}"\npurpose = "medical*"', True),
        (f'collection = "adult"\nbuyer = "{BUYER}"\npurpose = "other"', False),
    ],
)
@pytest.mark.parametrize("decision", ["auto", "ask", "deny"])
def test_rule_decides_when_all_its_conditions_hold(
    tmp_path: Path, rule: str, fits: bool, decision: str
) -> None:
    default = "deny" if decision == "auto" else "auto"
    verdict = policy(tmp_path, f'default = "{default}"\n[[rule]]\ndecision = "{decision}"\n{rule}\n').judge(
        ORDER
    )
    assert verdict.decision == (decision if fits else default)


def test_first_rule_that_fits_wins(tmp_path: Path) -> None:
    rules = policy(tmp_path, '[[rule]]\ndecision = "ask"\npurpose = "med*"\n[[rule]]\ndecision = "deny"\n')
    assert rules.judge(ORDER).decision is Decision.ASK
    assert rules.judge(replace(ORDER, purpose="else")).decision is Decision.DENY


def test_limits_hold_under_an_auto_rule_unless_it_sets_its_own(tmp_path: Path) -> None:
    text = 'maximum_epsilon = "0.5"\n[[rule]]\ndecision = "auto"\npurpose = "med*"\n'
    assert policy(tmp_path, text).judge(ORDER).code == "policy-epsilon"
    assert policy(tmp_path, text + 'maximum_epsilon = "1"\n').judge(ORDER).decision is Decision.AUTO


def test_limits_hold_before_the_operator_is_asked(tmp_path: Path) -> None:
    assert policy(tmp_path, 'default = "ask"\nmaximum_epsilon = "0.5"').judge(ORDER).decision is Decision.DENY


@pytest.mark.parametrize(
    "text",
    [
        'default = "maybe"',
        "surprise = 1",
        'maximum_epsilon = "much"',
        'maximum_epsilon = "0.0000001"',
        "maximum_epsilon = 2.0000005",
        'maximum_delta = "1e-13"',
        'maximum_epsilon = "-1"',
        "allow_without_privacy = 1",
        "[[rule]]\npurpose = 'x'",
        '[[rule]]\ndecision = "deny"\nbuyer = "bob"',
        '[[rule]]\ndecision = "deny"\npurpose = 3',
        "rule = 3",
        "= broken",
    ],
)
def test_unusable_policy_file_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"policy\.toml"):
        policy(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("maximum_row = 5", "line 1: entry 'maximum_row' is unknown; did you mean 'maximum_rows'?"),
        ('default = "no"', "line 1: default is 'no', expected auto, ask or deny"),
        (
            '[[rule]]\ndecision = "auto"\n\n[[rule]]\ndecision = "deny"\npurpos = "x"',
            "line 6: entry 'purpos' is unknown; did you mean 'purpose'?",
        ),
        ('[[rule]]\ndecision = "deny"\npurpose = 3', "line 3: rule 1, purpose is 3, expected text"),
        ("[[rule]]\npurpose = 'x'", "policy.toml: rule 1, decision is missing"),
        ("maximum_epsilon = true", "line 1: maximum_epsilon is True, expected a number"),
    ],
)
def test_mistake_is_answered_with_line_and_remedy(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        policy(tmp_path, text)
    assert message in str(caught.value)


def test_missing_policy_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="is missing"):
        Policy.read(tmp_path)


ALDER, BIRCH, CEDAR = (Address(bytes([number]) * 20) for number in (1, 2, 3))


@pytest.mark.parametrize(("trusted", "others", "honest", "passes"), [
    ([], None, 2, False),
    ([ALDER], None, 2, True),
    ([ALDER], [BIRCH, CEDAR], 2, False),  # another one came than the one that is trusted
    ([ALDER], [ALDER, CEDAR], 2, True),
    ([ALDER, BIRCH], [ALDER, CEDAR], 3, False),
    ([], [ALDER], 1, True),  # of two contributors each adds the whole noise
])  # fmt: skip
def test_noise_in_parts_needs_enough_trusted_partners_beside_this_node(
    tmp_path: Path, trusted: list[Address], others: list[Address] | None, honest: int, passes: bool
) -> None:
    names = ", ".join(f'"{account}"' for account in trusted)
    verdict = policy(tmp_path, f"trusted_partners = [{names}]\n").judge_partners(others, honest)
    assert (verdict is None) == passes
    if verdict is not None:
        assert verdict.code == "policy-partners"
        assert "name those whom you trust" in verdict.reason


def test_the_default_policy_trusts_nobody(tmp_path: Path) -> None:
    assert policy(tmp_path, DEFAULT_TEXT).judge_partners(None, 2) is not None


@pytest.mark.parametrize("value", ['"0x12"', '["nobody"]', "3"])
def test_partners_that_are_no_accounts_are_an_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(SettingsError, match="trusted_partners"):
        policy(tmp_path, f"trusted_partners = {value}\n")
