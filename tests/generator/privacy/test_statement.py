from typing import Any

import pytest

from generator.errors import PrivacyError
from generator.privacy.accountant import (
    GaussianEvent,
    PrivacyEvent,
    SubsampledGaussianEvent,
    epsilon_of,
    gdp_epsilon,
)
from generator.privacy.statement import Mechanism, delta_e12, epsilon_micro, privacy_statement
from provenance import canonical
from provenance.table.unit import Unit


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


def test_a_statement_says_whom_it_protects() -> None:
    """Without a unit it says what the figure is for somebody with 2, 5 and 10 rows, with one only what it is for."""
    events = [Mechanism("tables", GaussianEvent(12.0))]
    rows: dict[str, Any] = privacy_statement(events, 1e-5, None)
    assert (rows["unit"], rows["neighbours"]) == (
        "one row of the contributor's table",
        "add or remove one row",
    )
    assert [each["rows"] for each in rows["persons"]] == [1, 2, 5, 10]
    assert [each["epsilonMicro"] for each in rows["persons"][1:]] == [
        pytest.approx(1e6 * gdp_epsilon(k / 12, 1e-5), abs=1.0) for k in (2, 5, 10)
    ]
    assert "of a person with 10 rows" in rows["meaning"]
    person: dict[str, Any] = privacy_statement(events, 1e-5, Unit("patient", 10))
    assert person["unit"] == "one person, at most 10 rows of the contributor's table"
    assert person["neighbours"] == "add or remove one person with all rows that are used"
    assert person["epsilonMicro"] == rows["epsilonMicro"]
    assert person["persons"] == [{"rows": 10, "sureMicro": rows["persons"][0]["sureMicro"]}]
    assert "that a person (at most 10 rows) is in the table" in person["meaning"]
    assert any("several tables of one, under the same key" in text for text in person["notCovered"])
    assert "patient" not in repr(person)
