"""docs/benchmarks.md and its plots, written from results alone: equal results give equal bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.quality.case import (
    ALONE,
    CENTRAL,
    CONTRIBUTORS,
    DELTA,
    FEDERATED,
    IN_FLOAT,
    NO_CRITIC,
    NO_MARGINALS,
    OURS,
    PAIRS_ONLY,
    SKEW,
    SUMMED,
    SUMMED_GRADIENTS,
    Case,
    FitReport,
)
from benchmarks.quality.cases import CONTROLS, PEERS, PRIVATE_PEERS
from benchmarks.quality.figures import Figures
from benchmarks.quality.results import Result
from benchmarks.quality.table_text import (
    HEAD,
    TAIL,
    difference,
    figure_mean,
    markdown_table,
    number,
    report_mean,
)
from benchmarks.quality.tables import TABLES
from tessera.local.charts import Axis, Dots, bars, dot_rows

NAMES: Final = {
    "ctgan": "CTGAN",
    "tvae": "TVAE",
    "tabular_argn": "TabularARGN",
    "mst": "MST",
    "aim": "AIM",
    "dp_ctgan": "DP-CTGAN",
}
_FAMILIES: Final = ("autoregressive", "marginal", "fedgan")
_QUALITY: Final = (
    "seeds", "AUC", "worst", "TVD1", "TVD2", "worst", "TVD2 to train", "density", "coverage",
)  # fmt: skip
_COST: Final = (
    "copies", "hold-out's", "attack, rows", "attack, density", "fit CPU-s", "rows/CPU-s", "peak MB",
    "model kB", "sent kB",
)  # fmt: skip
# what stays - what is removed, at which epsilon and set-up
_PARTS: Final = (
    ("critic", "fedgan", NO_CRITIC, None, CENTRAL),
    ("critic", "fedgan", NO_CRITIC, 1.0, CENTRAL),
    ("critic, 4 contributors", "fedgan", NO_CRITIC, None, FEDERATED),
    ("marginals beside the critic", "fedgan", NO_MARGINALS, None, CENTRAL),
    ("3-way tables with the target", "marginal", PAIRS_ONLY, 1.0, CENTRAL),
    ("3-way tables with the target", "marginal", PAIRS_ONLY, 3.0, CENTRAL),
    ("masked sums, a part of the noise each", SUMMED, "marginal", 1.0, FEDERATED),
    ("masked sums, a part of the noise each", SUMMED, "marginal", 3.0, FEDERATED),
    ("masked sums, a part of the noise each", SUMMED_GRADIENTS, "autoregressive", 1.0, FEDERATED),
    ("masked sums, a part of the noise each", SUMMED_GRADIENTS, "autoregressive", 3.0, FEDERATED),
    ("quantisation (integers - float)", "autoregressive", IN_FLOAT, None, CENTRAL),
)

Group = tuple[str, str, float | None, str]


def write_page(results: Sequence[Result], page: Path) -> None:
    """Write `page` and the plots in the folder of its name beside it."""
    groups = _grouped(results)
    folder = page.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [HEAD.format(machines=" / ".join(sorted({r.machine for r in results})) or "none yet")]
    for table in TABLES:
        if any(group[0] == table for group in groups):
            (folder / f"{table}.svg").write_text(_plot(table, groups), encoding="utf-8")
            lines += _table_section(table, groups, folder.name)
    speeds = _speeds(groups)
    if speeds:
        (folder / "speed.svg").write_text(
            bars("Rows drawn in one CPU-second, Adult", speeds, ""), encoding="utf-8"
        )
        lines += ["## Sampling speed", "", f"![rows a CPU-second]({folder.name}/speed.svg)", ""]
    lines += _failures(results) + _settings(results) + [TAIL]
    page.write_text("\n".join(lines), encoding="utf-8")


def _grouped(results: Sequence[Result]) -> dict[Group, list[Result]]:
    """Finished results by what was fitted; one a seed, the latest, in the order of seeds."""
    by_group: dict[Group, dict[int, Result]] = {}
    for result in results:
        case = result.case
        if result.figures is not None and not case.validation:
            key = (case.table, case.subject, case.epsilon, case.setup)
            by_group.setdefault(key, {})[case.seed] = result
    return {key: [seeds[seed] for seed in sorted(seeds)] for key, seeds in by_group.items()}


def _table_section(table: str, groups: dict[Group, list[Result]], folder: str) -> list[str]:
    lines = [f"## {table}", "", f"![AUC and TVD2, {table}]({folder}/{table}.svg)", ""]
    for epsilon in (None, 1.0, 3.0):
        for setup, title in (
            ((CENTRAL,), "one table"),
            (
                (FEDERATED, ALONE),
                f"{CONTRIBUTORS} contributors, Dirichlet {SKEW:g} over {TABLES[table].skew}",
            ),
        ):
            rows = _rows(table, epsilon, setup, groups)
            if not rows:
                continue
            budget = "No epsilon" if epsilon is None else f"Epsilon {epsilon:g}, delta {DELTA:g}"
            lines += [f"### {table}: {budget.lower() if epsilon is None else budget}, {title}", ""]
            for header, cells in ((_QUALITY, _quality), (_COST, _cost)):
                table_rows = [[name, *cells(results)] for name, results in rows]
                lines += [*markdown_table(("", *header), table_rows), ""]
    return lines + _differences(table, groups)


def _rows(
    table: str, epsilon: float | None, setups: Sequence[str], groups: dict[Group, list[Result]]
) -> list[tuple[str, list[Result]]]:
    controls = CONTROLS if setups == (CENTRAL,) else ()
    order = (*controls, *OURS, *PEERS, *PRIVATE_PEERS)
    rows = [
        (_name(subject, setup if setup == ALONE else ""), groups[table, subject, budget, setup])
        for subject in order
        for setup in setups
        for budget in (None if subject in CONTROLS else epsilon,)
        if (table, subject, budget, setup) in groups
    ]
    measured = [row for row in rows if row[1][0].case.subject not in CONTROLS]
    return rows if measured else []


def _name(subject: str, setup: str) -> str:
    name = NAMES.get(subject, subject)
    name = f"**{name}**" if subject in _FAMILIES else name
    return f"{name}: each {setup}" if setup else name


def _quality(results: Sequence[Result]) -> list[str]:
    figures = [r.figures for r in results if r.figures is not None]

    def mean(figure: Callable[[Figures], float]) -> float:
        return sum(map(figure, figures)) / len(figures)

    return [
        str(len(figures)),
        number(mean(lambda f: f.auc), 4),
        number(min(f.auc for f in figures), 4),
        number(mean(lambda f: f.tvd1), 4),
        number(mean(lambda f: f.tvd2), 4),
        number(max(f.tvd2 for f in figures), 4),
        number(mean(lambda f: f.tvd2_train), 4),
        number(mean(lambda f: f.density), 2),
        number(mean(lambda f: f.coverage), 3),
    ]


def _cost(results: Sequence[Result]) -> list[str]:
    def percent(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.2f} %"

    return [
        percent(figure_mean(results, lambda f: f.copies)),
        percent(figure_mean(results, lambda f: f.holdout_copies)),
        number(figure_mean(results, lambda f: f.attack), 3),
        number(figure_mean(results, lambda f: f.density_attack), 3),
        number(report_mean(results, lambda r: r.fit_cpu_seconds), 1),
        number(report_mean(results, _speed), 0),
        number(report_mean(results, lambda r: _thousands(_thousands(r.fit_peak_rss_bytes))), 0),
        number(report_mean(results, lambda r: _thousands(r.model_bytes)), 0),
        number(report_mean(results, lambda r: _thousands(r.sent_bytes)), 0),
    ]


def _thousands(value: float | None) -> float | None:
    return None if value is None else value / 1e3


def _speed(report: FitReport) -> float:
    return report.sample_rows / max(report.sample_cpu_seconds, 1e-3)


def _differences(table: str, groups: dict[Group, list[Result]]) -> list[str]:
    """Every comparison that is made anywhere, with its interval; nothing is left out because it was lost."""
    rows: list[list[str]] = []

    def compare(what: str, ours: Group, theirs: Group) -> None:
        first, second = groups.get(ours), groups.get(theirs)
        if first is None or second is None:
            return
        auc = difference(first, second, lambda f: f.auc)
        tvd = difference(first, second, lambda f: f.tvd2)
        guess = difference(first, second, lambda f: f.attack)
        if auc and tvd and guess:
            budget = "none" if ours[2] is None else f"{ours[2]:g}"
            rows.append([what, budget, auc.text, tvd.text, guess.text])

    for part, whole, without, epsilon, setup in _PARTS:
        family = f" ({whole})" if whole in (SUMMED, SUMMED_GRADIENTS) else ""
        compare(f"adds: {part}{family}", (table, whole, epsilon, setup), (table, without, epsilon, setup))
    for subject, alone in ((SUMMED, "marginal"), (SUMMED_GRADIENTS, "autoregressive")):
        for epsilon in (1.0, 3.0):
            summed = (table, subject, epsilon, FEDERATED)
            compare(f"{subject}: together - each alone, pooled", summed, (table, alone, epsilon, ALONE))
            compare(f"{subject}: together - one table", summed, (table, alone, epsilon, CENTRAL))
    for subject in _FAMILIES:
        for epsilon in (None, 1.0, 3.0):
            federated = (table, subject, epsilon, FEDERATED)
            compare(f"{subject}: together - each alone, pooled", federated, (table, subject, epsilon, ALONE))
            compare(f"{subject}: together - one table", federated, (table, subject, epsilon, CENTRAL))
    for peer in PEERS:
        for own in ("autoregressive", "fedgan"):
            compare(f"{own} - {NAMES[peer]}", (table, own, None, CENTRAL), (table, peer, None, CENTRAL))
    for peer in PRIVATE_PEERS:
        for own in ("marginal", "autoregressive"):
            for epsilon in (1.0, 3.0):
                ours, theirs = ((table, who, epsilon, CENTRAL) for who in (own, peer))
                compare(f"{own} - {NAMES[peer]}", ours, theirs)
    if not rows:
        return []
    header = ("first - second", "epsilon", "AUC (more is better)", "TVD2 (less is better)", "attack, rows")
    title = f"### {table}: differences, 95 % intervals of paired seeds"
    return [title, "", *markdown_table(header, rows), ""]


def _plot(table: str, groups: dict[Group, list[Result]]) -> str:
    """The best AUC first; ours of one table, of several contributors, peers and controls in colours of their own."""
    sections = []
    for epsilon in (None, 1.0, 3.0):
        rows = []
        for (name, subject, budget, setup), results in groups.items():
            control = subject in CONTROLS
            if name != table or not (control or budget == epsilon) or subject == IN_FLOAT:
                continue
            auc = figure_mean(results, lambda f: f.auc)
            tvd = figure_mean(results, lambda f: f.tvd2)
            if auc is None or tvd is None:
                continue
            group = 5 if control else 1 if subject in NAMES else 0 if setup == CENTRAL else 2
            label = NAMES.get(subject, subject) + ("" if setup == CENTRAL else f", {setup}")
            rows.append(Dots(label, (auc, max(tvd, 1e-4)), group))
        if rows:
            title = f"{table}, " + ("no epsilon" if epsilon is None else f"epsilon {epsilon:g}")
            sections.append((title, sorted(rows, key=lambda row: (-row.values[0], row.label))))
    every = [row.values for _, rows in sections for row in rows]
    auc_axis = Axis.around("AUC on test rows (more is better)", [auc for auc, _ in every])
    tvd_axis = Axis.around("TVD2 to test rows (less is better)", [tvd for _, tvd in every], logarithmic=True)
    return dot_rows(sections, (auc_axis, tvd_axis))


def _speeds(groups: dict[Group, list[Result]]) -> list[tuple[str, float]]:
    wanted = [
        (subject, epsilon)
        for subjects, epsilon in ((_FAMILIES, None), (PEERS, None), (PRIVATE_PEERS, 1.0))
        for subject in subjects
    ]
    speeds: list[tuple[str, float]] = []
    for subject, epsilon in wanted:
        speed = report_mean(groups.get(("adult", subject, epsilon, CENTRAL), ()), _speed)
        if speed is not None:
            speeds.append((NAMES.get(subject, subject), speed))
    return sorted(speeds, key=lambda item: -item[1])


def _failures(results: Sequence[Result]) -> list[str]:
    rows = [[_case_words(r.case), r.failure] for r in results if r.failure is not None]
    rows += [
        [
            _case_words(r.case),
            f"{r.report.refused} of {CONTRIBUTORS} contributors have too few rows for their noise",
        ]
        for r in results
        if r.report is not None and r.report.refused
    ]
    if not rows:
        return []
    return ["## Failed, or in part", "", *markdown_table(("case", "why"), rows, left=2), ""]


def _settings(results: Sequence[Result]) -> list[str]:
    """Which settings peers ran with, and what was found on the validation split."""
    rows: dict[tuple[str, str, str], str] = {}
    for result in results:
        case, figures = result.case, result.figures
        if case.subject in NAMES and case.settings and figures is not None:
            text = ", ".join(f"{key} {value}" for key, value in case.settings.items())
            key = (case.table, NAMES[case.subject], text)
            rows.setdefault(key, "")
            if case.validation:
                rows[key] = f"AUC {figures.auc:.4f}, TVD2 {figures.tvd2:.4f}"
    if not rows:
        return []
    header = ("table", "peer", "settings", "on the validation split")
    lines = [[*key, rows[key]] for key in sorted(rows)]
    return ["## Settings of the peers", "", *markdown_table(header, lines, left=4), ""]


def _case_words(case: Case) -> str:
    budget = "no epsilon" if case.epsilon is None else f"epsilon {case.epsilon:g}"
    return f"{case.table}, {NAMES.get(case.subject, case.subject)}, {case.setup}, {budget}, seed {case.seed}"
