"""The cost in quality of the faster arm of an A/B, in the words beside its ratio."""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.protocol.events import Fidelity
from txtop.state import accuracy, fidelity
from txtop.state.accuracy import AccuracyDifference
from txtop.state.quality import Quality
from txtop.stats.fidelity_bands import LOSSLESS_COSINE, LOSSLESS_KLD, LOSSLESS_SIMILARITY


@dataclass(frozen=True)
class QualityCost:
    """The cost in quality of an arm: `remarks` end the verdict, `figures` stand below it.

    Both are forms from the longest to the shortest. `spoils` is True for an output that differs so
    much that the speed is no gain, and `role` is the colour.
    """

    remarks: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    role: str = "text"
    spoils: bool = False


NO_COST = QualityCost()
_REMARKS = {
    "lossless-like": (("and its output is lossless-like ✓", "lossless-like ✓", "✓"), "ok"),
    "minor": (("at a minor cost in quality ≈", "minor cost ≈", "≈"), "text"),
    "visible": (
        ("but its output differs VISIBLY ▲", "output differs ▲", "DIFFERS ▲"),
        "warn.bold",
    ),
    "broken": (("but its output is BROKEN ✗", "output BROKEN ✗", "BROKEN ✗"), "bad.bold"),
    "no worse": (("and its accuracy is no worse ✓", "no worse ✓", "✓"), "ok"),
    "undecided": (
        ("its accuracy is undecided ≈", "accuracy undecided ≈", "accuracy ≈", "≈"),
        "text",
    ),
    "loss": (("but it LOSES ACCURACY ▲", "loses accuracy ▲", "LOSES ▲"), "warn.bold"),
    "worse": (("but its accuracy is WORSE ✗", "accuracy WORSE ✗", "WORSE ✗"), "bad.bold"),
}
_SPOILING = ("visible", "broken", "loss", "worse")


def build_quality_cost(quality: Quality) -> QualityCost:
    """Build the cost that tasks or a comparison of outputs found; `NO_COST` if none could judge."""
    badge, deciding = quality.badge, quality.deciding
    if badge not in _REMARKS:
        return NO_COST
    remarks, role = _REMARKS[badge]
    figures: tuple[str, ...] = ()
    if deciding is not None:
        figures = _format_difference(deciding)
    elif quality.output is not None:
        figures = _format_figures(quality.output)
    return QualityCost(remarks, figures, role, badge in _SPOILING)


def _format_difference(difference: AccuracyDifference) -> tuple[str, ...]:
    points = accuracy.format_points(difference.difference)
    interval = accuracy.format_points_interval(difference.interval)
    name = difference.task.name
    margin = f"margin {100 * difference.margin:.3g} pt"
    short = f"{name} {points} {interval}".rstrip()
    return f"{short} of {difference.n:,} items ({margin})", short, points


def _format_figures(output: Fidelity) -> tuple[str, ...]:
    if fidelity.has_lost_order(output):
        return ("all sentences equally similar",)
    if output.similarity_rank is not None:
        figure = f"similarities {output.similarity_rank:.4f}"
        return f"{figure} (lossless ≥ {LOSSLESS_SIMILARITY})", figure
    if output.cosine_tokens is not None:
        figure = f"cosine of tokens {output.cosine_tokens:.4f}"
        return f"{figure} (lossless ≥ {LOSSLESS_COSINE})", figure
    distance = fidelity.get_kld_above_floor(output)
    figure = f"KLD {fidelity.format_short(distance)}" if distance is not None else "KLD 0"
    share = (output.top1 or 0) / output.positions if output.positions else 0.0
    top = f"top-1 {formatting.format_share(share, 1)}"
    return f"{figure} (lossless ≤ {LOSSLESS_KLD}) · {top}", f"{figure} · {top}", figure
