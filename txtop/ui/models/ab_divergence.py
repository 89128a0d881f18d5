"""Where what two arms write begins to differ, as a screen shows it."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.formatting import format_share
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.state.ab import ABTest
from txtop.state.session import SessionState


@dataclass(frozen=True)
class ABDivergenceView:
    """What two arms write: in common, then each; or the figures, or why there is neither."""

    heading: str = ""
    common: str = ""
    texts: tuple[str, str] | None = None
    figures: tuple[tuple[str, str], ...] = ()
    why: str = ""


NO_DIVERGENCE = ABDivergenceView()


def build_ab_divergence(state: SessionState, versus: ABTest, name: str) -> ABDivergenceView:
    """Of the arm `name` and the first."""
    found = state.output_of(name, versus.first.id)
    if found is None:
        return ABDivergenceView(why="outputs were not compared")
    if found.failed:
        return ABDivergenceView(why=f"outputs were not compared: {found.failed}")
    if found.invalid:
        return ABDivergenceView(
            why=f"{found.invalid} NaN or Inf in the output of {versus.letter(found.cell)}"
        )
    if found.weights == "random":
        return ABDivergenceView(why="random weights: no text to compare")
    stated = _build_figures(found)
    if found.texts is None:
        return ABDivergenceView(figures=stated, why="" if stated else "no text to compare")
    common, reference, own = found.texts
    texts = (reference, own) if found.reference == versus.first.id else (own, reference)
    if found.divergence is None:
        heading = f"none in {found.written} tokens, greedy"
        return ABDivergenceView(heading, common, None, stated, "both write the same")
    heading = f"token {found.divergence + 1} of {found.written}, greedy"
    return ABDivergenceView(heading, common, texts, stated)


def _build_figures(found: Fidelity) -> tuple[tuple[str, str], ...]:
    """Figures of a comparison of outputs, label and value."""
    said: list[tuple[str, str]] = []
    if found.kld is not None:
        distance = fidelity.get_kld_above_floor(found)
        said.append(("KL", "at the floor" if distance is None else fidelity.format_short(distance)))
    if found.top1 is not None and found.positions:
        said.append(("top-1 agrees", f"{format_share(found.top1 / found.positions, 1)}"))
    if found.perplexity_ratio is not None:
        said.append(("perplexity", f"{found.perplexity_ratio:.3f}x"))
    if found.cosine_tokens is not None:
        said.append(("cosine of tokens", f"{found.cosine_tokens:.5f}"))
    if found.cosine_pooled is not None:
        said.append(("pooled", f"{found.cosine_pooled:.5f}"))
    return tuple(said)
