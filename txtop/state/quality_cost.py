"""The cost in quality of the faster arm of an A/B, in the words beside its ratio."""

from __future__ import annotations

from dataclasses import dataclass

from txtop import formatting
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.stats.fidelity_bands import LOSSLESS_COSINE, LOSSLESS_KLD


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
}


def build_quality_cost(output: Fidelity | None) -> QualityCost:
    """Build the cost that a comparison of outputs found; `NO_COST` if it could not judge."""
    badge = fidelity.compute_badge(output)
    if output is None or badge not in _REMARKS:
        return NO_COST
    remarks, role = _REMARKS[badge]
    return QualityCost(remarks, _format_figures(output), role, badge in ("visible", "broken"))


def _format_figures(output: Fidelity) -> tuple[str, ...]:
    if output.cosine_tokens is not None:
        figure = f"cosine of tokens {output.cosine_tokens:.4f}"
        return f"{figure} (lossless ≥ {LOSSLESS_COSINE})", figure
    distance = fidelity.get_kld_above_floor(output)
    figure = f"KLD {fidelity.format_short(distance)}" if distance is not None else "KLD 0"
    share = (output.top1 or 0) / output.positions if output.positions else 0.0
    top = f"top-1 {formatting.format_share(share, 1)}"
    return f"{figure} (lossless ≤ {LOSSLESS_KLD}) · {top}", f"{figure} · {top}", figure
