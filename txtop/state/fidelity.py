"""What a comparison of outputs amounts to: a badge, the words beside it, what they leave out."""

from __future__ import annotations

from typing import Literal

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


def compute_badge(found: Fidelity | None) -> Badge:
    """By METHOD's bands. Random weights, and models that are not the same, have none; NaN and Inf
    are INVALID whatever the weights are."""
    if found is None or found.failed:
        return "unmeasured"
    if found.invalid:
        return "INVALID"
    if found.weights == "random":
        return "unknown"
    if not found.same_model:
        return "another model"
    if found.cosine_tokens is not None:
        return fidelity_bands.classify_cosines(found.cosine_pooled, found.cosine_tokens)
    if found.kld is None or found.top1 is None or not found.positions:
        return "unmeasured"
    return fidelity_bands.classify_tokens(found.kld, found.top1 / found.positions)


def get_kld_above_floor(found: Fidelity) -> float | None:
    """The mean KLD in nats; null where it is not above the floor."""
    return (
        found.kld
        if found.kld is not None and found.kld > fidelity_bands.compute_floor(found.floor)
        else None
    )


def format_badge_forms(found: Fidelity | None) -> tuple[str, ...]:
    """The badge in words, from the longest to the shortest."""
    what = compute_badge(found)
    if what == "unknown":
        return "unknown (random weights)", "unknown (rand)"
    mark = BADGE_GLYPHS.get(what)
    word = f"{mark} {what}" if mark else what
    if found is None or mark is None or what == "INVALID":
        return (word,)
    measure = ""
    if found.cosine_tokens is not None:
        measure = f" {found.cosine_tokens:.4f}"
    elif (distance := get_kld_above_floor(found)) is not None:
        measure = f" {format_short(distance)}"
    return (f"{word}{measure}", word) if measure else (word,)


def format_short(value: float) -> str:
    """A small figure in as few characters as its first digit needs: `0.004`, `0.05`, `1.1`."""
    if value < 0.0005:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:.3f}" if value < 0.01 else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def build_fidelity_notes(found: Fidelity) -> list[str]:
    """What a reader has to know beside the badge."""
    if found.failed:
        return [f"output not compared: {found.failed}"]
    said = list(found.notes)
    if found.weights == "random":
        said.append("random weights: how far the outputs are apart means nothing")
    if found.invalid:
        said.append(f"{found.invalid} NaN or Inf in the output")
    elif found.kld is not None and get_kld_above_floor(found) is None:
        said.append(f"KLD not above the floor of {fidelity_bands.compute_floor(found.floor):.0e}")
    return said
