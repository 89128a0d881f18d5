"""The badge of a comparison of outputs, the text beside it, and its notes.

The badges are those of docs/method.md, "Badges".
"""

from __future__ import annotations

import math
from typing import Literal

from txtop.formatting import format_share
from txtop.protocol.events import Fidelity
from txtop.stats import fidelity_bands
from txtop.stats.fidelity_bands import FidelityBand

Badge = FidelityBand | Literal["unknown", "another model", "INVALID", "unmeasured"]
BADGE_GLYPHS: dict[Badge, str] = {
    "lossless-like": "✓",
    "minor": "≈",
    "visible": "▲",
    "broken": "✗",
    "INVALID": "✗",
}
_LEAST_RMS = 1e-6


def compute_badge(result: Fidelity | None, *, random: bool = False) -> Badge:
    """Return the badge of a comparison, "unmeasured" if there is none.

    Random weights, compared or not, as `random` says, hidden states that depend on some, and models
    that are not the same have no band; NaN and Inf are INVALID whatever the weights are.
    """
    if result is None or result.failed:
        return "unknown" if random else "unmeasured"
    if result.invalid:
        return "INVALID"
    if result.weights == "random" or "hidden" in result.unknown:
        return "unknown"
    if not result.same_model:
        return "another model"
    if result.similarity_rank is not None and result.sentences >= fidelity_bands.MIN_SENTENCES:
        head = result.cosine_pooled if result.pooled_by == "head" else None
        return fidelity_bands.classify_embeddings(result.similarity_rank, head)
    if has_lost_order(result):
        return "broken"
    if result.cosine_tokens is not None:
        # Of an encoder that is compared by its embeddings the cosines of tokens say nothing.
        if result.sentences:
            return "unmeasured"
        return fidelity_bands.classify_cosines(result.cosine_pooled, result.cosine_tokens)
    if result.kld is None or result.top1 is None or not result.positions:
        return "unmeasured"
    return fidelity_bands.choose_worse(
        fidelity_bands.classify_kld(result.kld),
        fidelity_bands.classify_top1(result.top1, result.positions),
    )


def has_lost_order(result: Fidelity) -> bool:
    """Return True if one side alone finds all sentences equally similar: no correlation exists."""
    return (
        result.sentences >= fidelity_bands.MIN_SENTENCES
        and result.similarity_rank is None
        and result.similarity_rms is not None
        and result.similarity_rms >= _LEAST_RMS
    )


def measure_loss(result: Fidelity, band: FidelityBand) -> float:
    """Return what an output loses as a multiple of what `band` allows; infinite if unknown."""
    place = fidelity_bands.FIDELITY_BANDS.index(band)
    if compute_badge(result) not in fidelity_bands.FIDELITY_BANDS or has_lost_order(result):
        return math.inf
    if result.similarity_rank is not None:
        return (1 - result.similarity_rank) / (1 - fidelity_bands.SIMILARITY_LIMITS[place])
    if result.cosine_tokens is not None:
        worse = min(result.cosine_tokens, result.cosine_pooled or 1.0)
        return (1 - worse) / (1 - fidelity_bands.COSINE_LIMITS[place])
    lost = 1 - (result.top1 or 0) / result.positions
    return max(
        (result.kld or 0.0) / fidelity_bands.KLD_LIMITS[place],
        lost / (1 - fidelity_bands.TOP1_LIMITS[place]),
    )


def get_kld_above_floor(result: Fidelity) -> float | None:
    """Return the mean KLD in nats, or None if it is not above the floor."""
    return (
        result.kld
        if result.kld is not None and result.kld > fidelity_bands.compute_floor(result.floor)
        else None
    )


def format_badge_forms(result: Fidelity | None, *, random: bool = False) -> tuple[str, ...]:
    """Return the badge as text, from the longest to the shortest form."""
    badge = compute_badge(result, random=random)
    if badge == "unknown" and not random and result is not None and result.weights != "random":
        return "not measurable: weights missing", "weights missing"
    if badge == "unknown":
        return "not measurable: random weights", "random weights"
    if badge == "unmeasured":
        return "quality not checked", "not checked"
    mark = BADGE_GLYPHS.get(badge)
    label = f"{mark} {badge}" if mark else badge
    if result is None or mark is None or badge == "INVALID":
        return (label,)
    measure = _format_deciding_figure(result, badge)
    return (f"{label} {measure}", label) if measure else (label,)


def _format_deciding_figure(result: Fidelity, badge: Badge) -> str:
    """Return the figure that the badge goes by, empty for a KLD that is not above the floor."""
    if has_lost_order(result):
        return ""
    if result.similarity_rank is not None:
        return f"{result.similarity_rank:.4f}"
    if result.cosine_tokens is not None:
        return f"{result.cosine_tokens:.4f}"
    if result.kld is not None and fidelity_bands.classify_kld(result.kld) != badge:
        return f"top-1 {format_share((result.top1 or 0) / result.positions, 1)}"
    distance = get_kld_above_floor(result)
    return "" if distance is None else format_short(distance)


def shorten_badge(form: str) -> str:
    """Return the shortest form of a badge: its mark, its only word, or `?` for one without a mark.

    The first word alone would say something else: `not` for `not checked`.
    """
    mark, _, rest = form.partition(" ")
    return form if not rest else mark if not mark.isalpha() else "?"


def format_short(value: float) -> str:
    """Format a small figure in as few characters as it needs: `0.004`, `0.05`, `1.1`."""
    if value < 0.0005:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def build_fidelity_notes(result: Fidelity) -> list[str]:
    """Return notes that qualify the badge."""
    if result.failed:
        return [f"output not compared: {result.failed}"]
    notes = list(result.notes)
    if 0 < result.sentences < fidelity_bands.MIN_SENTENCES:
        least = fidelity_bands.MIN_SENTENCES
        notes.append(f"{result.sentences} texts are too few to compare embeddings: {least} or more")
    if result.weights == "random":
        notes.append("random weights: how far the outputs are apart means nothing")
    if result.invalid:
        notes.append(f"{result.invalid} NaN or Inf in the output")
    elif (
        result.weights != "random"
        and result.kld is not None
        and get_kld_above_floor(result) is None
    ):
        notes.append(f"KLD not above the floor of {fidelity_bands.compute_floor(result.floor):.0e}")
    return notes
