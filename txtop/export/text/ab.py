"""Write the end of an A/B as plain text: the verdict, its cost in quality, and the figures."""

from __future__ import annotations

from txtop.analysis import contention
from txtop.analysis.ab_notes import build_comparison_notes
from txtop.export.text.fitting import format_table
from txtop.formatting import MISSING, format_count, format_ratio_interval, format_share
from txtop.plan import labels
from txtop.protocol.events import Fidelity
from txtop.sanitise import sanitise
from txtop.state import fidelity, quality
from txtop.state.ab import ABTest
from txtop.state.session import SessionState
from txtop.stats.fidelity_bands import compute_wilson_interval

HEADING = (
    ("arm", "<"),
    ("ratio", ">"),
    ("95 %, every look", "<"),
    ("95 % at this n (not for peeking)", "<"),
    ("won", ">"),
    ("blocks", ">"),
    ("verdict", "<"),
    ("output", "<"),
)


def format_ab(
    state: SessionState, what_if: ABTest | None = None, width: int | None = None
) -> list[str]:
    """Return the lines of an A/B; empty if the session is none.

    `what_if` replaces the session's A/B by the same one under another margin.
    """
    ab_test = what_if or state.ab_test
    if ab_test is None:
        return []
    lines = list_verdicts(state, ab_test)
    heading, rows = build_table(state, ab_test)
    lines += ["", describe_table(ab_test)]
    lines += format_table(heading, rows, width)
    beside = list_notes(state, ab_test)
    return [*map(sanitise, lines), *([""] if beside else []), *beside]


def list_verdicts(state: SessionState, ab_test: ABTest) -> list[str]:
    """Return the verdict on each comparison, with the badge of its output beside a claim."""
    lines = []
    for name in ab_test.sequences:
        badge = quality.format_badge_forms(state, name, ab_test.first.id)[0]
        claim = f"   output: {badge}" if not ab_test.explain_no_verdict(name) else ""
        lines.append(ab_test.words(name, over=state.is_done) + claim)
    return lines


def build_table(
    state: SessionState, ab_test: ABTest
) -> tuple[tuple[tuple[str, str], ...], list[list[str]]]:
    """Return name and side of each column, and a row for each comparison."""
    heading = tuple((f"{ab_test.unit}s" if n == "blocks" else n, side) for n, side in HEADING)
    return heading, [_build_row(state, ab_test, name) for name in ab_test.sequences]


def describe_table(ab_test: ABTest) -> str:
    """Return what the rows of the table have in common."""
    first = _format_arm(ab_test, ab_test.first.id)
    margin = format_share(ab_test.margin, 1)
    return f"each against A {first}, margin {margin}, {_format_blocks(ab_test)}"


def list_notes(state: SessionState, ab_test: ABTest) -> list[str]:
    """Return the notes on all comparisons, and the figures of their outputs."""
    names = ab_test.sequences
    return [sanitise(line) for name in names for line in _build_arm_notes(state, ab_test, name)]


def _format_blocks(ab_test: ABTest) -> str:
    discarded = len(ab_test.blocks) - ab_test.kept_blocks
    starts = f"{format_count(len(ab_test.units), 'start')}, " if ab_test.starts > 1 else ""
    count = starts + format_count(ab_test.kept_blocks, "block")
    return count + (f", {discarded} discarded" if discarded else "")


def _build_row(state: SessionState, ab_test: ABTest, name: str) -> list[str]:
    sequence, look = ab_test.sequences[name], ab_test.look(name)
    without_verdict = bool(ab_test.explain_no_verdict(name)) or not look.n
    fixed = None if without_verdict else ab_test.fixed_interval(name, state.plan.seed)
    verdict = ab_test.verdict(name, over=state.is_done)
    remarks = ["indicative"] if ab_test.reloaded and verdict != "inconclusive" else []
    remarks += [contention.BUSY] if ab_test.busy_blocks else []
    verdict_words = verdict or MISSING
    if verdict and remarks:
        verdict_words += f" ({', '.join(remarks)})"
    return [
        f"{ab_test.letter(name)} {_format_arm(ab_test, name)}",
        MISSING if without_verdict else f"{look.ratio:.3f}",
        _format_interval(None if without_verdict else look.interval),
        _format_interval(fixed),
        MISSING if without_verdict else str(sequence.wins),
        str(sequence.n),
        verdict_words,
        quality.format_badge_forms(state, name, ab_test.first.id)[-1],
    ]


def _format_arm(ab_test: ABTest, name: str) -> str:
    """Return what tells an arm from the others."""
    names, _ = labels.label_arms(ab_test.arms)
    return next(text for arm, text in zip(ab_test.arms, names, strict=True) if arm.id == name)


def _format_interval(interval: tuple[float, float] | None) -> str:
    return MISSING if interval is None else format_ratio_interval(*interval)


def _build_arm_notes(state: SessionState, ab_test: ABTest, name: str) -> list[str]:
    """Return the notes on arm `name`, then the figures of its output."""
    letter = ab_test.letter(name)
    event = state.output_of(name, ab_test.first.id)
    lines = [f"{letter}: {note}" for note in build_comparison_notes(state, ab_test, name)]
    if event is None:
        return lines
    # How far outputs of random weights are apart would be read as quality.
    figures = [] if event.weights == "random" else _format_figures(event)
    reference = ab_test.letter(event.reference)
    other = ab_test.letter(event.cell)
    if figures:
        where = f"over {event.positions:,} positions"
        lines.append(f"{other} against {reference} {where}: {', '.join(figures)}")
    lines += [
        f"{other} against {reference}: {note}" for note in fidelity.build_fidelity_notes(event)
    ]
    return lines


def _format_figures(event: Fidelity) -> list[str]:
    """Return the figures of a comparison of outputs, each with its name."""
    figures: list[str] = []
    if (distance := fidelity.get_kld_above_floor(event)) is not None:
        error = "" if event.kld_stderr is None else f" ±{event.kld_stderr:.1g}"
        figures.append(f"KLD {distance:.2g}{error}")
    if (
        event.top1 is not None
        and (ends := compute_wilson_interval(event.top1, event.positions)) is not None
    ):
        share = event.top1 / event.positions
        figures.append(
            f"top-1 {format_share(share, 1)}"
            f" [{format_share(ends[0], 1)}, {format_share(ends[1], 1)}]"
        )
    if event.perplexity_ratio is not None:
        figures.append(f"perplexity {event.perplexity_ratio:.3f}x")
    if event.similarity_rank is not None:
        figures.append(f"similarities of sentences {event.similarity_rank:.5f}")
    if event.cosine_tokens is not None:
        figures.append(f"cosine of tokens {event.cosine_tokens:.5f}")
    if event.cosine_pooled is not None:
        figures.append(f"pooled {event.cosine_pooled:.5f}")
    figures += [f"{part} unknown" for part in event.unknown]
    if event.written:
        figures.append(
            f"no difference in {event.written} tokens"
            if event.divergence is None
            else f"first difference at token {event.divergence + 1} of {event.written}"
        )
    return figures
