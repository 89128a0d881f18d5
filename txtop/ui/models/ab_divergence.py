"""The place where the outputs of two arms begin to differ, for the A/B screen."""

from __future__ import annotations

from dataclasses import dataclass

from txtop.formatting import format_share
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.state.ab import ABTest
from txtop.state.session import SessionState

# The ratio of perplexities below which the third decimal tells a change.
PLAIN_CHANGE = 1.1


@dataclass(frozen=True)
class ABDivergenceView:
    """The outputs of two arms: their common beginning, then `texts`, the first arm's first.

    `figures` are (label, value) of the comparison. `why` explains that there are no texts.
    """

    heading: str = ""
    common: str = ""
    texts: tuple[str, str] | None = None
    figures: tuple[tuple[str, str], ...] = ()
    why: str = ""


NO_DIVERGENCE = ABDivergenceView()


def build_ab_divergence(state: SessionState, ab_test: ABTest, name: str) -> ABDivergenceView:
    """Build the divergence of arm `name` from the first arm."""
    output = state.output_of(name, ab_test.first.id)
    if output is None:
        pending = is_comparison_pending(state)
        return ABDivergenceView(
            why="comparing outputs…" if pending else "outputs were not compared"
        )
    if output.failed:
        return ABDivergenceView(why=f"outputs were not compared: {output.failed}")
    if output.invalid:
        return ABDivergenceView(
            why=f"{output.invalid} NaN or Inf in the output of {ab_test.letter(output.cell)}"
        )
    if output.weights == "random":
        return ABDivergenceView(why="random weights: no text to compare")
    if "hidden" in output.unknown:
        return ABDivergenceView(why="weights are missing: no text to compare")
    figures = _build_figures(output)
    if output.texts is None:
        return ABDivergenceView(figures=figures, why="" if figures else "no text to compare")
    common, reference, own = output.texts
    texts = (reference, own) if output.reference == ab_test.first.id else (own, reference)
    if output.divergence is None:
        heading = f"none in {output.written} tokens, greedy"
        return ABDivergenceView(heading, common, None, figures, "both write the same")
    heading = f"token {output.divergence + 1} of {output.written}, greedy"
    return ABDivergenceView(heading, common, texts, figures)


def is_comparison_pending(state: SessionState) -> bool:
    """Return True while outputs are being compared or will be.

    An A/B compares them before it measures, and records a comparison that failed too.
    """
    return state.ended is None and state.plan.fidelity_positions > 0


def _build_figures(output: Fidelity) -> tuple[tuple[str, str], ...]:
    """List the figures of a comparison of outputs as (label, value)."""
    figures: list[tuple[str, str]] = []
    if output.kld is not None:
        distance = fidelity.get_kld_above_floor(output)
        figures.append(
            ("KLD", "at the floor" if distance is None else fidelity.format_short(distance))
        )
    if output.top1 is not None and output.positions:
        figures.append(("top-1 agrees", f"{format_share(output.top1 / output.positions, 1)}"))
    if output.perplexity_ratio is not None:
        ratio = output.perplexity_ratio
        decimals = 3 if ratio < PLAIN_CHANGE else 2
        figures.append(("perplexity", f"{ratio:.{decimals}f}x"))
    if output.similarity_rank is not None:
        figures.append(("similarities", f"{output.similarity_rank:.5f}"))
    if output.cosine_tokens is not None:
        figures.append(("cosine of tokens", f"{output.cosine_tokens:.5f}"))
    if output.cosine_pooled is not None:
        figures.append(("pooled", f"{output.cosine_pooled:.5f}"))
    return tuple(figures)
