from typing import Any

import pytest

from generator.errors import PrivacyError
from generator.privacy.accountant import GaussianEvent, PrivacyEvent, SubsampledGaussianEvent, epsilon_of
from generator.privacy.statement import Mechanism, delta_e12, epsilon_micro, privacy_statement
from provenance import canonical


def test_refuses_mechanisms_without_a_delta() -> None:
    with pytest.raises(PrivacyError, match="without a delta"):
        privacy_statement([Mechanism("bins", GaussianEvent(2.0))], None, None)


def test_statement_counts_every_mechanism_rounds_up_and_is_canonical() -> None:
    events: list[PrivacyEvent] = [GaussianEvent(4.0), SubsampledGaussianEvent(3.0, 0.02, 50)]
    statement: dict[str, Any] = privacy_statement(
        [Mechanism("tables", events[0]), Mechanism("rounds", events[1])], 1e-5, None
    )
    assert statement["epsilonMicro"] >= epsilon_of(events, 1e-5) * 1_000_000 - 1e-3
    assert statement["deltaE12"] == 10_000_000
    assert [m["name"] for m in statement["mechanisms"]] == ["tables", "rounds"]
    assert any("several contributors" in text for text in statement["notCovered"])
    assert canonical.decode(canonical.encode(statement)) == statement


def test_statement_without_privacy_says_that_there_is_none() -> None:
    statement = privacy_statement([], None, None)
    assert statement["guarantee"] == "none"
    assert statement["epsilonMicro"] == 0


def test_rounding_never_understates() -> None:
    assert epsilon_micro(3.0000001) == 3_000_001
    assert epsilon_micro(3.0) == 3_000_000
    assert delta_e12(1e-5) == 10_000_000
