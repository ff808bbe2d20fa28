"""Univariate releases and the codebooks made of them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from generator.errors import MarginalError
from generator.marginals.bins import (
    BinRelease,
    base_grid,
    bins_of_sum,
    build_codebook,
    dense_bins,
    dense_cells,
    encode_codes,
    release_bins,
    sum_bins,
    univariate_counts,
)
from provenance.table.schema import Schema

DOCUMENT: dict[str, Any] = {
    "format": "tessera-schema/1",
    "name": "toy",
    "target": "label",
    "columns": [
        {"name": "age", "type": "integer", "minimum": 0, "maximum": 99, "nullable": True},
        {"name": "income", "type": "integer", "minimum": 0, "maximum": 9_999_999},
        {"name": "city", "type": "string", "enum": ["a", "b", "c"]},
        {"name": "label", "type": "boolean"},
    ],
}
SCHEMA = Schema.parse(DOCUMENT)
WORDS = Schema.parse(
    {
        **DOCUMENT,
        "columns": [
            {"name": "word", "type": "string", "enum": [f"w{i:04}" for i in range(5000)], "nullable": True},
            {"name": "label", "type": "boolean"},
        ],
    }
)
Values = NDArray[np.int64]


def table(rows: int = 5000) -> Values:
    random = np.random.default_rng(7)
    age = random.integers(18, 70, rows)
    age[random.random(rows) < 0.1] = 100  # missing
    income = np.exp(random.normal(10, 1, rows)).astype(np.int64)
    income[random.random(rows) < 0.3] = 123_456
    return np.stack([age, income, random.integers(0, 3, rows), random.integers(0, 2, rows)], axis=1)


def test_refuses_values_outside_the_schema() -> None:
    values = table(10)
    values[3, 2] = 3
    with pytest.raises(MarginalError, match="column 2"):
        univariate_counts(values, base_grid(SCHEMA))


@pytest.mark.parametrize("change", ["missing", "shape", "float", "cell", "level"])
def test_refuses_a_strangers_damaged_release(change: str) -> None:
    grid = base_grid(SCHEMA)
    arrays = dict(release_bins(table(), grid, 1.0).arrays())
    if change == "missing":
        del arrays["base"]
    elif change == "shape":
        arrays["base"] = arrays["base"][1:]
    elif change == "float":
        arrays["base"] = arrays["base"].astype(np.float64)
    elif change == "cell":
        arrays["cell"] = np.full_like(arrays["cell"], 10**12)
    else:
        arrays["level"] = np.full_like(arrays["level"], 0)
    with pytest.raises(MarginalError):
        BinRelease.from_arrays(arrays, grid, 1.0)


def test_a_row_moves_one_cell_of_each_histogram_by_one() -> None:
    grid = base_grid(SCHEMA)
    values = table(100)
    change = univariate_counts(values, grid) - univariate_counts(values[1:], grid)
    assert change.sum() == 2
    assert np.abs(change).max() == 1
    assert [len(column.widths) for column in grid.columns] == [1, 3, 0, 0]
    assert grid.sensitivity == math.sqrt(4)


def test_columns_whose_values_all_get_a_code_are_not_counted() -> None:
    grid = base_grid(SCHEMA)
    assert [column.is_counted for column in grid.columns] == [True, True, False, False]
    assert len(grid.totals(np.ones(grid.offsets[-1]))) == 2
    book = build_codebook(SCHEMA, release_bins(table(), grid, 50.0))
    assert (book.code_counts[2], book.code_counts[3]) == (3, 2)


def test_a_table_of_short_columns_alone_releases_nothing_and_gets_its_codes() -> None:
    short = Schema.parse({**DOCUMENT, "columns": DOCUMENT["columns"][2:]})
    grid = base_grid(short)
    release = release_bins(table()[:, 2:], grid, 3.0)
    assert release.base.shape == (0,)
    assert grid.totals(release.base).shape == (0,)
    assert build_codebook(short, sum_bins([release, release])).code_counts == (3, 2)


def test_cells_are_public_nested_and_at_most_256() -> None:
    grid = base_grid(SCHEMA)
    for column in grid.columns:
        assert column.base_cells - column.nullable <= 256
        for coarse, fine in zip(column.widths[:-1], column.widths[1:], strict=True):
            assert coarse % fine == 0
        assert column.widths[-1:] in ((), (1,))


def test_noise_has_the_declared_standard_deviation() -> None:
    grid = base_grid(SCHEMA)
    values = table(50)
    exact = univariate_counts(values, grid)
    noise = np.concatenate([release_bins(values, grid, 5.0).base - exact for _ in range(40)])
    std = 5.0 * grid.sensitivity
    assert noise.std() == pytest.approx(std, rel=0.05)
    assert release_bins(values, grid, 5.0).noise_std == std


def test_fine_cells_pass_by_noise_alone_as_rarely_as_said() -> None:
    grid = base_grid(SCHEMA)
    empty = np.empty((0, 4), dtype=np.int64)
    passed = sum(len(release_bins(empty, grid, 1.0).cell) for _ in range(300))
    assert passed == pytest.approx(300 * 2 * 0.05, abs=5 * math.sqrt(30))


@pytest.mark.parametrize(("unit_rows", "least"), [(1, 5), (3, 13)])
def test_without_noise_a_finer_cell_is_shown_from_the_rows_of_five_units_on(
    unit_rows: int, least: int
) -> None:
    """One value of one person's three rows must not become an edge."""
    grid = base_grid(SCHEMA)
    of_units = replace(grid, unit_rows=unit_rows)
    column = next(c for c, each in enumerate(grid.columns) if len(each.widths) > 1)
    values = table(500)
    for rows in (least - 1, least):
        values[:, column] = np.arange(500) * grid.columns[column].widths[0] % grid.columns[column].grid_size
        values[:rows, column] = 1
        shown = release_bins(values, of_units, 0.0)
        finest = (shown.column == column) & (shown.level == len(grid.columns[column].widths) - 1)
        assert (1 in shown.cell[finest]) == (rows == least)


def test_codebook_partitions_every_column_and_finds_the_spike() -> None:
    grid = base_grid(SCHEMA)
    for multiplier in (0.0, 2.0):
        book = build_codebook(SCHEMA, release_bins(table(), grid, multiplier))
        for c, column in enumerate(SCHEMA.columns):
            own = book.column_codes(c)
            low, width = book.low[own], book.width[own]
            assert low[0] == 0
            assert np.array_equal(low[1:], (low + width)[:-1])
            assert low[-1] + width[-1] == column.cardinality
        income = book.column_codes(1)
        spike = np.flatnonzero(book.low[income] == 123_456)
        assert spike.size == 1
        assert book.width[income][spike[0]] == 1
        assert (book.low[book.column_codes(0)][-1], book.width[book.column_codes(0)][-1]) == (100, 1)
        book.check_schema(SCHEMA)


def test_light_bins_hold_similar_numbers_of_rows() -> None:
    book = build_codebook(SCHEMA, release_bins(table(), base_grid(SCHEMA), 0.0))
    codes = encode_codes(table(), book)[:, 1]
    shares = np.bincount(codes, minlength=book.code_counts[1]) / len(codes)
    assert np.sort(shares)[-2] < 0.1
    assert 15 <= book.code_counts[1] <= 30


def test_equal_sums_give_equal_codebooks_whatever_the_order() -> None:
    grid = base_grid(SCHEMA)
    releases = [release_bins(part, grid, 0.0) for part in np.array_split(table(), 3)]
    first = build_codebook(SCHEMA, sum_bins(releases))
    second = build_codebook(SCHEMA, sum_bins(releases[::-1]))
    assert first.code_counts == second.code_counts
    assert np.array_equal(first.low, second.low)


def test_a_sum_of_vectors_over_all_cells_gives_the_codebook_that_the_releases_give() -> None:
    """With a finest level of ten million cells, which the vector has no room for, only its edges are coarser."""
    for top, same in ((199_999, True), (9_999_999, False)):
        columns = [
            DOCUMENT["columns"][0],
            {**DOCUMENT["columns"][1], "maximum": top},
            *DOCUMENT["columns"][2:],
        ]
        schema = Schema.parse({**DOCUMENT, "columns": columns})
        grid = base_grid(schema)
        values = table()
        values[:, 1] %= top + 1
        releases = [release_bins(part, grid, 0.0) for part in np.array_split(values, 3)]
        vectors = [dense_bins(release, grid) for release in releases]
        assert {len(vector) for vector in vectors} == {dense_cells(grid)}
        assert dense_cells(grid) <= 2**21
        summed = bins_of_sum(np.sum(vectors, axis=0), grid)
        books = [build_codebook(schema, each) for each in (sum_bins(releases), summed)]
        assert (books[0].low.tolist() == books[1].low.tolist()) == same
        spike = encode_codes(values, books[1])[values[:, 1] == 123_456, 1]
        width = books[1].width[books[1].column_codes(1)][spike[0]]
        assert width == 1 if same else width <= 40_000


def test_summed_noise_adds_in_variance() -> None:
    grid = base_grid(SCHEMA)
    releases = [release_bins(table(10), grid, m) for m in (3.0, 4.0)]
    assert sum_bins(releases).noise_std == pytest.approx(5.0 * grid.sensitivity)


def test_encoding_inverts_the_ranges_and_refuses_strangers() -> None:
    values = table()
    book = build_codebook(SCHEMA, release_bins(values, base_grid(SCHEMA), 0.0))
    codes = encode_codes(values, book)
    for c in range(4):
        own = book.column_codes(c)
        low, width = book.low[own][codes[:, c]], book.width[own][codes[:, c]]
        assert ((low <= values[:, c]) & (values[:, c] < low + width)).all()
    values[0, 0] = 101
    with pytest.raises(MarginalError, match="column 0"):
        encode_codes(values, book)


def test_released_arrays_come_back_as_they_were() -> None:
    grid = base_grid(SCHEMA)
    release = release_bins(table(), grid, 2.0)
    again = BinRelease.from_arrays(release.arrays(), grid, release.noise_std)
    assert np.array_equal(release.base, again.base)
    assert np.array_equal(release.count, again.count)
    assert release.noise_std == again.noise_std


def test_a_table_of_noise_alone_still_gives_a_codebook() -> None:
    empty = np.empty((0, 4), dtype=np.int64)
    book = build_codebook(SCHEMA, release_bins(empty, base_grid(SCHEMA), 3.0))
    assert book.codes >= 4


def words(rows: int = 20_000) -> Values:
    """Two words of a tenth of the rows each, at 1234 and 4321; the others by Zipf's law; a quarter missing."""
    random = np.random.default_rng(11)
    word = np.minimum(random.zipf(1.3, rows) - 1, 4999)
    word[random.random(rows) < 0.1] = 1234
    word[random.random(rows) < 0.1] = 4321
    word[random.random(rows) < 0.25] = 5000
    return np.stack([word, random.integers(0, 2, rows)], axis=1)


@pytest.mark.parametrize("multiplier", [0.0, 5.0, 40.0])
def test_frequent_words_of_thousands_keep_a_code_and_the_rare_ones_share(multiplier: float) -> None:
    book = build_codebook(WORDS, release_bins(words(), base_grid(WORDS), multiplier))
    own = book.column_codes(0)
    low, width = book.low[own].tolist(), book.width[own].tolist()
    assert len(low) <= 2 * 128
    for word in (1234, 4321, 5000):
        assert width[low.index(word)] == 1
    assert sum(width) == 5001
    assert low == np.cumsum([0, *width])[:-1].tolist()


def test_the_noisier_the_counts_the_fewer_the_codes() -> None:
    codes = [
        [
            build_codebook(WORDS, release_bins(words(), base_grid(WORDS), multiplier)).code_counts[0]
            for _ in range(10)
        ]
        for multiplier in (0.0, 100.0, 1e5)
    ]
    assert min(codes[0]) > np.mean(codes[1]) > 8
    assert np.mean(codes[1]) > np.mean(codes[2])
    assert sorted(codes[2])[5] < 10  # about four times the square of a standard normal
