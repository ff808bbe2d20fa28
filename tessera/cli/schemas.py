"""`tessera schema`: infer a schema from a table, look at it, check a table against it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.units import MICRO, format_fixed
from tessera.cli.options import HELP_NAMES, OverwriteOption, TableFile, examples, out_file
from tessera.extras import require
from tessera.terminal import out, remark, say

if TYPE_CHECKING:
    from provenance.table.remarks import Remarks

schema_app = typer.Typer(
    help="What the columns of a table may hold: infer it, show it, check a table against it.",
    no_args_is_help=True,
    context_settings=HELP_NAMES,
)

SchemaArgument = Annotated[Path, typer.Argument(metavar="SCHEMA", help="schema document (JSON)")]


@schema_app.command(
    "infer",
    epilog=examples(
        "schema infer table.csv --out schema.json",
        "schema infer table.csv --out schema.json --epsilon 1",
        "schema infer table.parquet --out schema.json --target late --without note",
        "schema infer visits.csv --out schema.json --unit patient_id --rows-per-person 10 --epsilon 1",
    ),
)
def infer(
    table: TableFile,
    to: Annotated[Path, out_file("where the schema goes")],
    name: Annotated[
        str | None, typer.Option(help="name of the schema; default: the table's file name")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="the column that a buyer would predict; default: the last one if it has few categories"
        ),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="leave this column out; may be repeated")
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(
            help="release the schema under differential privacy; a later fit is charged both together"
        ),
    ] = None,
    delta: Annotated[float, typer.Option(min=1e-12, max=0.5, help="delta beside epsilon")] = 1e-5,
    least_rows: Annotated[
        int,
        typer.Option(min=1, metavar="K", help="without epsilon: values that fewer rows hold do not appear"),
    ] = 2,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN", help="without epsilon: every value of this column may appear; may be repeated"
        ),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="the column that says whose a row is, where a person has several; privacy then protects persons, and "
            "the column is left out",
        ),
    ] = None,
    rows_per_person: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="with --unit: rows of one person that are used at most"),
    ] = None,
    _overwrite: OverwriteOption = False,
) -> None:
    """Infer a schema from a table, under differential privacy or as a draft to edit.

    With --epsilon bounds and categories are released with noise and a fit may use them as they are. Without it they are
    read off the rows and marked as `inferred`: put public knowledge in their place and delete the mark, or vouch for a
    column by a member "public" that says why, before a fit with privacy.
    """
    from provenance.files import READABLE, write_whole
    from provenance.table.key_column import KeyColumn
    from tessera.local.table_file import inferred, privately_inferred

    if epsilon is not None and keep:
        raise typer.BadParameter("it is for drafts without --epsilon", param_hint="--keep")
    persons = None
    if unit is not None or rows_per_person is not None:
        require("generator", "a schema with --unit")
        from tessera.local.owned import persons_of

        persons = persons_of(unit, rows_per_person)
    if epsilon is None:
        schema = inferred(
            table, name, target, without or (), least_rows=least_rows, keep=keep or (), persons=persons
        )
    else:
        draft = privately_inferred(table, name, target, without or (), epsilon, delta, persons)
        schema = draft.schema
        for left_out in draft.left_out:
            remark(
                f"{left_out!r} is left out: no value of it stands out of the noise of this epsilon. If you need it, "
                "declare it from public knowledge."
            )
    write_whole(to, schema.pretty().encode(), mode=READABLE)
    fields = schema.inferred_fields()
    if schema.unit is not None:
        say(f"unit of privacy: {schema.unit.words}")
    say(f"{to}: {len(schema.cell_columns)} columns, digest {schema.digest}")
    if schema.release is not None:
        spent = schema.release
        cost = format_fixed(spent.epsilon_micro, MICRO)
        say(f"released with epsilon {cost}, about {spent.rows:,} rows; a fit is charged both together")
    for column in schema.cell_columns:
        if isinstance(column, KeyColumn):
            remark(
                f"{column.name!r}: every row has its own, so it is taken for a key of the pattern "
                f"{column.pattern!r}: made up for synthetic rows, never learnt. If it is a quantity, declare it."
            )
    if fields:
        remark(
            f"{len(fields)} fields were read off the rows and are marked `inferred`: replace them by public "
            "knowledge before the schema leaves this machine or a model is fitted with privacy, or release the schema "
            "with --epsilon."
        )


@schema_app.command("show", epilog=examples("schema show schema.json"))
def show(schema_file: SchemaArgument) -> None:
    """Show the columns of a schema, its digest, and how large models of it become."""
    from rich.table import Table

    from provenance.table.key_column import KeyColumn
    from provenance.table.origins import Origins
    from provenance.table.schema import Schema
    from tessera.extras import needing

    with needing("generator", "`tessera schema show`"):
        from generator.families.size import expected_sizes

    schema = Schema.load(schema_file)
    grid = Table(title=f"{schema.name}  {schema.digest}", title_justify="left")
    for heading in ("column", "type", "values", "missing", "comes from"):
        grid.add_column(heading)
    for column in schema.cell_columns:
        words = column.document()
        if isinstance(column, KeyColumn):
            grid.add_row(column.name, column.kind, column.pattern, "", _comes_from(column.remarks))
            continue
        values = (
            f"{words['minimum']} to {words['maximum']}"
            if "minimum" in words
            else f"{column.grid_size} categories"
        )
        missing = repr(column.missing) if column.nullable else ""
        grid.add_row(column.name, column.kind, values, missing, _comes_from(column.remarks))
    out.print(grid)
    if schema.unit is not None:
        say(f"unit of privacy: {schema.unit.words}")
    for line in Origins.of(schema).lines():
        say(line)
    for constraint in schema.constraints:
        say(constraint.describe())
    for size in expected_sizes(schema):
        say(
            f"family {size.family}: about {size.multiplications:,} multiplications a row, {size.model_bytes:,} bytes, "
            f"size class {size.size_class}"
        )


def _comes_from(remarks: Remarks) -> str:
    """Where a column's words came from, briefly."""
    if remarks.public is not None:
        return f"public: {remarks.public}"
    if remarks.inferred:
        return f"inferred: {', '.join(remarks.inferred)}"
    return "released" if remarks.released else ""


@schema_app.command("check", epilog=examples("schema check schema.json table.csv"))
def check(schema_file: SchemaArgument, table: TableFile) -> None:
    """Check that every value of a table is one that the schema knows, and that every row says whose it is."""
    import numpy as np

    from provenance.table.persons import numbered
    from provenance.table.schema import Schema
    from tessera.local.table_file import read_table

    schema = Schema.load(schema_file)
    rows = read_table(table, schema)
    say(f"{table}: {len(rows.values):,} rows agree with {schema_file} ({len(schema.cell_columns)} columns)")
    if rows.persons is not None:
        sizes = np.bincount(numbered(rows.persons))
        used = int(np.minimum(sizes, schema.unit_rows).sum())
        most = f"at most {schema.unit_rows:,} each"
        say(f"{len(sizes):,} persons, up to {sizes.max():,} rows each; {used:,} rows are used, {most}")
