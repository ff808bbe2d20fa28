"""What an audit says in words and as a page: one HTML file, no scripts, no links to anywhere."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tessera.local.charts import Axis, Dots, dot_rows
from tessera.local.evaluation_page import page, page_table

if TYPE_CHECKING:
    from generator.evaluation.membership import AttackReport
    from generator.fitting.audit import AuditReport

Rows = list[tuple[str, str, str]]


def attack_words(attack: AttackReport) -> str:
    """What an attacker with a reference model finds, in a sentence."""
    return (
        f"an attacker with a reference model tells members from non-members with AUC {attack.auc:.2f} "
        f"({attack.lower:.2f} to {attack.upper:.2f}; .50 = cannot)"
    )


def audit_rows(report: AuditReport) -> Rows:
    """(what, found, beside it) of every figure."""
    attack = report.membership.attack
    between = f"{attack.auc:.3f}, {attack.lower:.3f} to {attack.upper:.3f}"
    rows: Rows = [("members told from non-members (AUC)", between, "0.5 = cannot")]
    rows += [
        (
            f"members told at {rate.false_rate:.1%} false alarms",
            f"{rate.rate:.1%}, {rate.low:.1%} to {rate.high:.1%}",
            f"{rate.false_rate:.1%} = cannot",
        )
        for rate in report.membership.rates
        if rate is not None
    ]
    if report.canaries is not None:
        found = report.canaries
        rows.append(("epsilon", *bound_words(report)))
        rows.append(
            (
                "canaries guessed",
                f"{found.correct} of {found.guesses} right",
                f"{found.canaries} drawn, {found.planted} planted",
            )
        )
    close = report.closeness
    rows += [
        (
            "drawn rows that equal a training row",
            f"{close.copies:,} of {close.rows:,}",
            f"{close.repeated:.2%} of training rows equal another",
        ),
        (
            "median distance to the nearest training row",
            f"{close.nearest:.3f}",
            f"{close.own:.3f} from training row to training row",
        ),
    ]
    return rows


def bound_words(report: AuditReport) -> tuple[str, str]:
    """("lower bound found 0.1", "stated 1.0")."""
    found = 0.0 if report.canaries is None else report.canaries.epsilon
    stated = "none stated" if report.epsilon is None else f"stated {report.epsilon:.4g}"
    return f"lower bound found {found:.2f} (95 %)", stated


def verdict(report: AuditReport) -> str:
    """What the figures mean, in a sentence or two."""
    if report.refuted and report.canaries is not None:
        return (
            f"The model states epsilon {report.epsilon:.4g}; planted rows show that at least "
            f"{report.canaries.epsilon:.2f} is spent. Do not publish or sell this model. One audit in twenty says "
            "so by chance: repeat it with another seed. If it says so again, the noise is not what the statement says: "
            "fit anew with a fresh installation, and report it (SECURITY.md)."
        )
    if report.epsilon is None:
        return "No epsilon bounds what this model tells about a row; the attacks here are not the best there are."
    return "Nothing found contradicts the stated epsilon. That is no proof: a better attack may find more."


def audit_page(report: AuditReport) -> str:
    """The page."""
    title = f"What a model of {report.schema} gives away"
    attack = report.membership.attack
    shown = [
        Dots("AUC", (attack.auc,)),
        Dots("95 %, from", (attack.lower,), 5),
        Dots("to", (attack.upper,), 5),
    ]
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p class='note'>{escape(note)}</p>" for note in report.notes),
        f"<p>{escape(verdict(report))}</p>",
        page_table(("", "found", "beside it"), audit_rows(report)),
        "<h2>Who trained</h2>",
        f"<p>Here {escape(attack_words(attack))}. Who did not train: {escape(report.membership.known_by)}.</p>",
        dot_rows([("Membership", shown)], [Axis("area under the ROC curve", 0.4, 1.0)], 560),
    ]
    return page(title, body)
