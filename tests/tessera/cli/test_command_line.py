"""What `tessera` says to bad input, and that its good paths write what they promise."""

from __future__ import annotations

import csv
import json
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from generator.families.settings import FAMILIES, settings_of
from provenance.crypto.seal import load_delivery_key
from provenance.crypto.signing import load_key
from tessera.cli.app import app
from tessera.cli.models import FamilyName
from tessera.devnet.adult import PARTS, adult_collection, adult_schema, deal_tables, read_lines
from tessera.devnet.network import python_path
from tessera.local.model import load
from tests.provenance.verify.publication import SCHEMA
from tests.tessera.conftest import Run

SEED = "0x" + "5e" * 32


@pytest.fixture
def schema_file(tmp_path: Path) -> Path:
    path = tmp_path / "schema.json"
    path.write_text(SCHEMA.pretty(), encoding="utf-8")
    return path


def write_toy(path: Path, header: str, *rows: str) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def test_missing_column_is_named(tessera: Run, schema_file: Path, tmp_path: Path) -> None:
    table = write_toy(tmp_path / "t.csv", "age", "5")
    found = tessera("schema", "check", schema_file, table)
    assert found.status == 2
    assert "no column 'kind'" in found.err
    assert "Traceback" not in found.err


def test_value_outside_the_schema_is_named_with_row_and_column(
    tessera: Run, schema_file: Path, tmp_path: Path
) -> None:
    names = ",".join(SCHEMA.column_names)
    rest = ["a"] + [_first_value(name) for name in SCHEMA.column_names[2:]]
    good, bad = ",".join(["5", *rest]), ",".join(["999", *rest])
    found = tessera("schema", "check", schema_file, write_toy(tmp_path / "t.csv", names, good, bad))
    assert found.status == 2
    assert "row 2" in found.err
    assert "'age'" in found.err
    assert "999" in found.err


def _first_value(name: str) -> str:
    from provenance.table.codec import cell_text

    return cell_text(SCHEMA.columns[SCHEMA.column_names.index(name)], 0)


@pytest.mark.parametrize("words", [("schema", "check", "absent.json", "t.csv"), ("sample", "absent.tsm", "--rows", "1",
                                    "--seed", SEED, "--out", "x.csv")])  # fmt: skip
def test_absent_file_is_named(tessera: Run, words: tuple[str, ...]) -> None:
    found = tessera(*words)
    assert found.status == 2
    assert "absent" in found.err
    assert "Traceback" not in found.err


def test_a_file_that_is_no_model_is_refused(tessera: Run, tmp_path: Path) -> None:
    other = write_toy(tmp_path / "t.csv", "age", "5")
    found = tessera("sample", other, "--rows", 1, "--seed", SEED, "--out", tmp_path / "x.csv")
    assert found.status == 2
    assert "tessera fit" in found.err
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("seed", "words"),
    [
        ("", "such as 42"),
        ("0x", "such as 42"),
        ("xyz", "such as 42"),
        ("2a", "write 0x2a if it is hexadecimal"),
        (str(2**256), "expected a number from 0 to 2^256 - 1"),
        ("0x" + "1" * 65, "up to 64 hexadecimal digits"),
    ],
)
def test_a_seed_that_is_no_number_or_too_long_is_refused(
    tessera: Run, model_file: Path, tmp_path: Path, seed: str, words: str
) -> None:
    found = tessera("sample", model_file, "--rows", 1, "--seed", seed, "--out", tmp_path / "x.csv")
    assert found.status == 2
    assert "seed: found" in found.err
    assert words in found.err


def test_a_seed_means_the_same_rows_in_python_and_on_the_command_line(
    tessera: Run, model_file: Path, tmp_path: Path
) -> None:
    for name, seed in (("decimal.csv", "42"), ("hex.csv", "0x2a")):
        words = ("--rows", 50, "--seed", seed, "--out", tmp_path / name)
        assert tessera("sample", model_file, *words).status == 0
    with (tmp_path / "decimal.csv").open(newline="", encoding="utf-8") as file:
        ages = [int(row["age"]) for row in csv.DictReader(file)]
    assert load(model_file).sample(50, seed=42)["age"] == ages
    assert (tmp_path / "hex.csv").read_bytes() == (tmp_path / "decimal.csv").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--rows is missing"),
        (("--where", "kind=a"), "--rows is missing"),
        (("--rows", 10, "--where", "age=400"), "expected an integer from 0 to 299"),
        (("--rows", 10, "--where", "wage=4"), "the columns are age, kind"),
        (("--rows", 10, "--count", "kind=a:3"), "the counts add up to 3"),
        (("--rows", 10, "--balance", "kind", "--count", "kind=a:10"), "one of them"),
        (("--rows", 10, "--first-row", 5, "--balance", "kind"), "--conditions-out"),
        (("--count", "kind=a"), "a colon and a number of rows"),
        (("--rows", 10, "--conditions-out", "c.json"), "no conditions were asked"),
    ],
)
def test_conditions_that_cannot_be_asked_are_refused(
    tessera: Run, model_file: Path, tmp_path: Path, options: tuple[object, ...], message: str
) -> None:
    found = tessera("sample", model_file, "--seed", SEED, "--out", tmp_path / "x.csv", *options)
    assert found.status == 2
    assert message in " ".join(found.err.split())
    assert not (tmp_path / "x.csv").exists()


def test_unknown_option_is_a_usage_error(tessera: Run) -> None:
    assert tessera("sample", "--bogus").status == 2


def test_a_key_is_never_overwritten(tessera: Run, tmp_path: Path) -> None:
    path = tmp_path / "delivery.key"
    assert tessera("key", "new", "--out", path).status == 0
    before = path.read_bytes()
    again = tessera("key", "new", "--out", path)
    assert again.status == 2
    assert "never overwritten" in again.err
    assert path.read_bytes() == before


def test_no_command_replaces_a_file_unasked() -> None:
    """A command with --out refuses a name that is taken, unless it has a rule of its own."""
    own_rule = {("request",), ("key", "new")}  # goes on with its order; never replaces a key
    group = typer.main.get_command(app)
    for path, command in _commands(group):
        for parameter in command.params:
            if {"--out", "--conditions-out"} & set(parameter.opts) and path not in own_rule:
                assert parameter.callback is not None, (path, parameter.opts)
                assert "--overwrite" in {name for each in command.params for name in each.opts}, path


def test_a_file_that_is_there_stays_until_it_is_to_be_replaced(
    tessera: Run, model_file: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "rows.csv"
    mine.write_text("edited by hand\n")
    asked = ("sample", model_file, "--rows", "2", "--seed", "1", "--out", mine)
    found = tessera(*asked)
    assert (found.status, mine.read_text()) == (2, "edited by hand\n")
    assert "--overwrite" in found.err
    assert tessera(*asked, "--overwrite").status == 0
    assert mine.read_text() != "edited by hand\n"


def test_epsilon_refuses_a_schema_that_was_read_off_the_rows(tessera: Run, tmp_path: Path) -> None:
    table = write_toy(tmp_path / "t.csv", "age,kind", *(f"{i % 50},{'ab'[i % 2]}" for i in range(200)))
    schema = tmp_path / "s.json"
    assert tessera("schema", "infer", table, "--out", schema).status == 0
    found = tessera("fit", table, "--schema", schema, "--out", tmp_path / "m.tsm", "--epsilon", 1)
    assert found.status != 0
    assert "schema infer --epsilon" in found.err
    assert '"public"' in found.err
    assert not (tmp_path / "m.tsm").exists()


@pytest.mark.parametrize(
    ("epsilon", "words"),
    [
        ("20000", "less than or equal to 1000"),
        ("nan", "less than or equal to 1000"),
        ("11", "--weak-privacy"),
    ],
)
def test_an_epsilon_that_protects_nobody_is_an_error_in_words(
    tessera: Run, tmp_path: Path, epsilon: str, words: str
) -> None:
    table = write_toy(tmp_path / "t.csv", "age,kind", *(f"{i % 50},{'ab'[i % 2]}" for i in range(200)))
    schema = tmp_path / "s.json"
    assert tessera("schema", "infer", table, "--out", schema).status == 0
    found = tessera("fit", table, "--schema", schema, "--out", tmp_path / "m.tsm", "--epsilon", epsilon)
    assert found.status != 0
    assert "Traceback" not in found.err
    assert "epsilon" in found.err
    assert words in " ".join(found.err.split())


def test_the_ledger_of_a_table_is_shown_whatever_its_file_is_called(tessera: Run, tmp_path: Path) -> None:
    lines = [f"{i % 50},{'ab'[i % 2]}" for i in range(200)]
    table = write_toy(tmp_path / "t.csv", "age,kind", *lines)
    copy = write_toy(tmp_path / "copy.csv", "age,kind", *reversed(lines))
    schema, model = tmp_path / "s.json", tmp_path / "m.tsm"
    assert "no table is known" in tessera("ledger").out
    assert tessera("ledger", table).status == 2
    assert tessera("schema", "infer", table, "--out", schema, "--epsilon", 8).status == 0
    words = ("--schema", schema, "--out", model, "--family", "marginal", "--set", "steps=5")
    assert tessera("fit", table, *words, "--epsilon", 9).status == 0
    shown = tessera("ledger", copy, "--schema", schema).out
    assert "t.csv, copy.csv" in shown
    assert re.search(r"charged +epsilon (9\b|8\.9)", shown)
    assert shown.count("a schema or fit of its owner") == 2
    assert len(tessera("ledger").out.splitlines()) == 1


def test_a_fit_takes_the_family_s_settings_and_says_which_there_are(tessera: Run, tmp_path: Path) -> None:
    table = write_toy(tmp_path / "t.csv", "age,kind", *(f"{i % 50},{'ab'[i % 2]}" for i in range(200)))
    schema, model = tmp_path / "s.json", tmp_path / "m.tsm"
    assert tessera("schema", "infer", table, "--out", schema).status == 0
    command = ("fit", table, "--schema", schema, "--out", model, "--family", "marginal")
    found = tessera(*command, "--set", "step=5")
    assert found.status != 0
    assert "did you mean 'steps'" in " ".join(found.err.split())
    assert tessera(*command, "--set", "steps=5", "--set", "hiddenWidth=4").status == 0
    assert load(model).container.fit["settings"] == {"steps": 5, "hiddenWidth": 4}
    listed = tessera("fit", "--list-settings")
    assert listed.status == 0
    assert all(setting.name in listed.out for family in FAMILIES for setting in settings_of(family))


def test_every_family_can_be_asked_for() -> None:
    assert tuple(FamilyName) == FAMILIES


def test_a_request_without_a_network_file_says_where_one_comes_from(tessera: Run, tmp_path: Path) -> None:
    found = tessera("orders", "--network", tmp_path / "none.json")
    assert found.status == 2
    assert "tessera up" in found.err


HEAVY = ("torch", "web3", "numpy", "scipy", "httpx", "fastapi", "sqlalchemy", "cryptography")


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], ["node", "run", "--help"], ["verify", "--help"]]
)
def test_help_and_version_are_quick_because_nothing_heavy_is_imported(words: list[str]) -> None:
    code = f"""
import sys
from tessera.cli.app import main
try:
    main({words!r})
finally:
    print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=python_path(), check=True)
    assert done.stderr.strip() == "[]"
    assert "tessera" in done.stdout


def _commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, *path, name)
        else:
            yield (*path, name), command


def test_every_command_has_an_example_that_it_understands() -> None:
    group = typer.main.get_command(app)
    found = dict(_commands(group))
    assert len(found) > 35
    for path, command in found.items():
        examples = (command.epilog or "").split("\n\n")[1:]
        assert examples, path
        options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
        for example in examples:
            words = shlex.split(example)
            assert tuple(words[1 : 1 + len(path)]) == path, example
            assert {word for word in words if word.startswith("--")} <= options, example


def test_an_unknown_variable_of_the_environment_is_refused_with_the_near_name(
    tessera: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TESSERA_RPC_URL", "http://127.0.0.1:8545")
    monkeypatch.setenv("TESSERA_NETWROK", "x.json")
    found = tessera("orders")
    assert found.status == 2
    assert "TESSERA_NETWROK, which nothing reads: did you mean TESSERA_NETWORK?" in found.err


def test_infer_marks_what_it_read_off_the_rows(tessera: Run, tmp_path: Path) -> None:
    table = write_toy(tmp_path / "visits.csv", "age,ward", "30,north", "41,south", "55,north")
    found = tessera("schema", "infer", table, "--out", tmp_path / "s.json", "--least-rows", 1)
    assert found.status == 0
    document = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert document["name"] == "visits"
    assert "minimum" in document["columns"][0]["inferred"]
    assert "enum" in document["columns"][1]["inferred"]
    assert "inferred" in found.err
    shown = tessera("schema", "show", tmp_path / "s.json")
    assert shown.status == 0
    assert "30 to 55" in shown.out


@pytest.mark.parametrize("wallet", [False, True])
def test_new_keys_are_readable_by_their_owner_only(tessera: Run, tmp_path: Path, wallet: bool) -> None:
    path = tmp_path / "new.key"
    found = tessera("key", "new", "--out", path, *(["--wallet"] if wallet else []))
    assert found.status == 0
    assert path.stat().st_mode & 0o777 == 0o600
    if wallet:
        assert str(load_key(path).address) in found.out
    else:
        assert str(load_delivery_key(path).public) in found.out
        assert "lost" in found.out


def test_rows_do_not_depend_on_how_they_are_asked_for(tessera: Run, model_file: Path, tmp_path: Path) -> None:
    def sample(name: str, *options: object) -> list[list[str]]:
        path = tmp_path / name
        assert tessera("sample", model_file, "--seed", SEED, "--out", path, *options).status == 0
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))

    whole = sample("whole.csv", "--rows", 300)
    assert sample("batches.csv", "--rows", 300, "--batch-rows", 7, "--threads", 2) == whole
    part = sample("part.csv", "--rows", 50, "--first-row", 120, "--batch-rows", 1)
    assert part == [whole[0], *whole[121:171]]


def test_conditions_give_exact_counts_that_their_document_gives_again(
    tessera: Run, model_file: Path, tmp_path: Path
) -> None:
    document = tmp_path / "conditions.json"

    def sample(name: str, *options: object) -> tuple[list[dict[str, str]], str]:
        path = tmp_path / name
        found = tessera("sample", model_file, "--seed", SEED, "--out", path, *options)
        assert found.status == 0, found.err
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file)), " ".join((found.out + found.err).split())

    rows, said = sample("where.csv", "--rows", 200, "--where", "age=50..250", "--where", "kind=a|b")
    assert len(rows) == 200
    assert all(50 <= int(row["age"]) <= 250 and row["kind"] in "ab" for row in rows)
    assert "200 rows with age=50..250 and kind=a|b" in said
    assert "attempts a row" in said

    options = (
        "--count",
        "age=200..249:51",
        "--count",
        "age>=200 & age<=299:50",
        "--conditions-out",
        document,
    )
    rows, said = sample("counts.csv", *options)
    assert len(rows) == 101
    assert all(int(row["age"]) >= 200 for row in rows)
    assert sum(int(row["age"]) < 250 for row in rows) >= 51
    assert "51 rows with age=200..249 50 rows with age=200..299" in said
    assert sample("again.csv", "--conditions", document)[0] == rows
    assert sample("part.csv", "--conditions", document, "--first-row", 70)[0] == rows[70:]

    rows, _ = sample("balance.csv", "--rows", 4, "--balance", "kind", "--where", "kind=c")
    assert Counter(row["kind"] for row in rows) == {"c": 4}


def test_parquet_holds_the_same_rows_with_types(tessera: Run, model_file: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    for name in ("x.csv", "x.parquet"):
        assert tessera("sample", model_file, "--rows", 40, "--seed", 7, "--out", tmp_path / name).status == 0
    table = pq.read_table(tmp_path / "x.parquet")
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert table.column("age").to_pylist() == [int(row["age"]) for row in rows]
    assert table.column("kind").to_pylist() == [None if row["kind"] == "?" else row["kind"] for row in rows]
    assert not list(tmp_path.glob("*.part"))


def test_the_bundled_schema_knows_every_bundled_value_and_reveals_none(tessera: Run) -> None:
    from provenance.table.table_csv import read_csv

    schema = adult_schema()
    assert schema.inferred_fields() == ()
    data = Path(__file__).parents[3] / "tessera" / "devnet" / "data"
    assert len(read_csv(data / "adult_test.csv.gz", schema)) == 16_281
    assert len(read_csv(data / "adult_train.csv.gz", schema)) == 32_561
    assert adult_collection().schema == schema


def test_contributors_get_unequal_parts_that_share_no_row(tmp_path: Path) -> None:
    specs = deal_tables(tmp_path)
    parts = [spec.table.read_text(encoding="utf-8").splitlines()[1:] for spec in specs]
    assert [len(part) for part in parts] == list(PARTS.values())
    _, rows = read_lines("adult_train.csv.gz")
    drawn = Counter(row for part in parts for row in part)
    assert drawn <= Counter(rows), "a row is in two parts"


def test_a_key_file_says_its_kind_and_an_encrypted_wallet_takes_its_password_from_the_environment(
    tessera: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery, wallet = tmp_path / "delivery.key", tmp_path / "wallet.json"
    assert tessera("key", "new", "--out", delivery).status == 0
    assert "delivery key, public part" in tessera("key", "show", delivery).out
    monkeypatch.setenv("TESSERA_PASSWORD", "open sesame")
    made = tessera("key", "new", "--wallet", "--encrypt", "--out", wallet)
    assert made.status == 0
    assert "open sesame" not in made.out + made.err + wallet.read_text()
    address = made.out.split("address:")[1].split()[0]
    assert f"wallet key, address {address}" in tessera("key", "show", wallet).out
    monkeypatch.delenv("TESSERA_PASSWORD")
    closed = tessera("key", "show", wallet)
    assert closed.status == 2
    assert "TESSERA_PASSWORD" in closed.err
    refused = tessera("key", "new", "--encrypt", "--out", tmp_path / "another.key")
    assert refused.status == 2
    assert "no password" in refused.err


def test_a_demo_on_contracts_that_stand_needs_their_node_and_who_pays(tessera: Run, tmp_path: Path) -> None:
    found = tessera("demo", "--deployment", tmp_path / "deployment.json", "--rpc", "http://127.0.0.1:8545")
    assert found.status == 2
    assert "--deployment FILE, --rpc URL and --payer FILE" in found.err
