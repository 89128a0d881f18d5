"""One comparison of an A/B for its screen: an arm against arm A.

The ratio, the verdict in a few words, and the figures behind it. `ab` builds the whole screen; this
is apart because wording a verdict is most of that work.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

from txtop import formatting
from txtop.analysis import energy, products
from txtop.state import accuracy, fidelity, quality
from txtop.state.ab import ABTest
from txtop.state.ab_wording import format_with_confidence, word_verdict
from txtop.state.cell import CellState
from txtop.state.pending_work import find_pending_answers
from txtop.state.quality import BADGE_ROLES, Quality
from txtop.state.quality_cost import NO_COST, QualityCost, build_quality_cost
from txtop.state.session import SessionState
from txtop.stats.sequential import Look, SequentialVerdict, judge_log_ratio
from txtop.ui.models.ab_divergence import (
    NO_DIVERGENCE,
    ABDivergenceView,
    build_ab_divergence,
    is_comparison_pending,
)

# Beyond these the funnel drops the oldest looks but the first.
MAX_LOOKS = 240


@dataclass(frozen=True)
class FunnelInterval:
    """One row of the funnel: the interval of the ratio after `block` blocks.

    `counts` is True from the first look that may decide.
    """

    block: int
    ratio: float
    low: float
    high: float
    counts: bool


@dataclass(frozen=True)
class ABComparisonView:
    """Arm `letter` against arm A: the ratio, the verdict, its certainty, and the figures behind it.

    `value` is the ratio, None where none may be claimed, and `role` its colour. `word` is the
    verdict, in the colour `word_role`. `interval` and `surely` are the two lines below it: the 95 %
    interval, or a cause, and how far to trust it. `cost` is what the winner costs in quality.
    `rows` are (label, value, colour role of the value, remark). `looks` are the rows of the funnel.
    """

    letter: str
    value: float | None = None
    role: str = "muted"
    word: str = ""
    word_role: str = "text.bold"
    interval: str = ""
    surely: str = ""
    cost: QualityCost = NO_COST
    rows: tuple[tuple[str, str, str, str], ...] = ()
    looks: tuple[FunnelInterval, ...] = ()
    difference: ABDivergenceView = NO_DIVERGENCE


def build_ab_comparison(state: SessionState, ab_test: ABTest, name: str) -> ABComparisonView:
    """Compare arm `name` with the first arm."""
    look, verdict = ab_test.look(name), ab_test.verdict(name, over=state.is_done)
    letter = ab_test.letter(name)
    base = ABComparisonView(
        letter=letter,
        rows=_list_rows(state, ab_test, name),
        looks=_build_funnel_intervals(ab_test, name),
        difference=build_ab_divergence(state, ab_test, name),
    )
    if why := ab_test.explain_no_verdict(name):
        who, _, cause = why.partition(": ")
        return replace(
            base,
            word=who.replace(" is ", " "),
            word_role="bad.bold",
            role="bad",
            interval=cause,
            surely="no speed is claimed",
            looks=(),
        )
    if look.interval is None:
        value = look.ratio if look.n else None
        progress = _describe_answers(state, ab_test) or "no winner yet"
        return replace(base, value=value, word=_describe_stage(state), surely=progress)
    view = replace(base, surely=_describe_certainty(ab_test))
    view = _apply_verdict(view, state, ab_test, name, verdict, look)
    if verdict not in ("faster", "equivalent"):
        return view
    cost = build_quality_cost(quality.get_quality(state, name, ab_test.first.id))
    return replace(view, cost=cost, role="text" if cost.spoils else view.role)


def _apply_verdict(
    view: ABComparisonView,
    state: SessionState,
    ab_test: ABTest,
    name: str,
    verdict: SequentialVerdict | None,
    look: Look,
) -> ABComparisonView:
    """Return `view` with the wording and the colours of `verdict`, or of none."""
    wording = word_verdict(ab_test, name, look, verdict)
    view = replace(
        view,
        value=wording.ratio,
        word=wording.claims[-1],
        interval=format_with_confidence(wording, "  "),
    )
    if wording.winner:
        role = "accent-b" if verdict == "faster" else "accent-a"
        return replace(view, word_role=f"{role}.bold", role=role)
    if verdict == "equivalent":
        measurable = ab_test.sequences[name].excludes_one
        least = (
            f"measurable: {formatting.format_share(abs(look.ratio - 1), 1)}"
            if measurable
            else view.surely
        )
        return replace(view, role="text", surely=least)
    if verdict == "inconclusive":
        why = "results contradict each other"
        return replace(view, surely=why if wording.contradicts else _explain_end(state, ab_test))
    return replace(view, surely="no winner yet")


def _explain_end(state: SessionState, ab_test: ABTest) -> str:
    """Explain in a few words what ended an A/B without a verdict."""
    ended = {c.finished.stopped_by for c in state.cells.values() if c.finished}
    if "budget" in ended:
        return "time limit reached"
    return "stopped" if ended & {"stop", "skip"} else f"{len(ab_test.units)} {ab_test.unit}s"


def _describe_certainty(ab_test: ABTest) -> str:
    """Describe the condition under which the interval holds."""
    if ab_test.busy_blocks:
        return "on a busy machine"
    if ab_test.reloaded:
        return "indicative"
    return "assumes normal noise" if ab_test.are_few else "holds at every check"


def _describe_stage(state: SessionState) -> str:
    """Describe what the A/B does before its first interval."""
    if state.ended is not None:
        return "no verdict"
    if state.comparing is not None:
        at = state.comparing
        return f"comparing outputs {formatting.format_share(at.done / at.total if at.total else 0)}"
    if state.answering is not None:
        return f"answering {state.answering[1]}"
    cell = state.cells.get(state.current or "")
    ab_test = state.ab_test
    if cell is None or ab_test is None:
        return "answering tasks" if state.questions and find_pending_answers(state) else "starting"
    labels = {"loading": "loading", "first": "first iteration of", "warming": "warming"}
    label = labels.get(cell.stage)
    return f"{label} {ab_test.letter(cell.cell.id)}" if label else "measuring"


def _describe_answers(state: SessionState, ab_test: ABTest) -> str:
    """Describe which arm answers and how far it is: `A: 120 of 300`; empty if none does."""
    if state.answering is None or state.ended is not None:
        return ""
    name, task = state.answering
    answered, items = accuracy.count_answers(state, name, task)
    return f"{ab_test.letter(name)}: {answered:,} of {items:,}"


def _build_funnel_intervals(ab_test: ABTest, name: str) -> tuple[FunnelInterval, ...]:
    """Build the rows of the funnel: the first look and the newest `MAX_LOOKS`.

    A look without an interval is left out.
    """
    looks = [look for look in ab_test.sequences[name].looks if look.interval is not None]
    if len(looks) > MAX_LOOKS:
        looks = [looks[0], *looks[-MAX_LOOKS:]]
    return tuple(
        FunnelInterval(look.n, look.ratio, *look.interval, look.n >= ab_test.first_look)
        for look in looks
        if look.interval is not None
    )


def _list_rows(
    state: SessionState, ab_test: ABTest, name: str
) -> tuple[tuple[str, str, str, str], ...]:
    """List the rows below the verdict: margin, blocks, fidelity, and energy and memory if known."""
    sequence = ab_test.sequences[name]
    lost = sequence.n - sequence.wins
    discarded = len(ab_test.blocks) - ab_test.kept_blocks
    remark = "" if sequence.n >= ab_test.first_look else f"at least {ab_test.first_look}"
    if discarded:
        remark = f"{remark}  {discarded} discarded".strip()
    margin = f"±{ab_test.margin * 100:.3g} %"
    rows = [("margin ░", margin, "text", _describe_margin(ab_test, name))]
    won = f"{ab_test.letter(name)} {sequence.wins}  A {lost}"
    if ab_test.explain_no_verdict(name):
        rows.append((f"{ab_test.unit}s", f"{sequence.n} that say nothing", "muted", ""))
    else:
        rows.append((f"{ab_test.unit}s", won, "won", remark))
    own = quality.get_quality(state, name, ab_test.first.id)
    rows.append(("accuracy" if own.deciding else "fidelity", *_describe_quality(state, own)))
    if ran := products.compare_products(state, ab_test, name):
        rows.append(("kernels", ran, "text", ""))
    beside = _compare_energy_and_memory(state, ab_test, name)
    return (*rows, beside) if beside else tuple(rows)


def _describe_margin(ab_test: ABTest, name: str) -> str:
    """Return the block since which the interval is inside or outside the margin, if it is."""
    sequence = ab_test.sequences[name]
    if ab_test.explain_no_verdict(name) or sequence.n < ab_test.first_look:
        return ""
    if sequence.verdict == "inconclusive":
        return ""
    if sequence.verdict is None:
        return "interval still overlaps it"
    side = "inside" if sequence.verdict == "equivalent" else "outside"
    return f"{side} since {ab_test.unit} {_find_verdict_block(ab_test, name)}"


def _find_verdict_block(ab_test: ABTest, name: str) -> int:
    """Return the first block from which every look gave the present verdict."""
    sequence = ab_test.sequences[name]
    at = sequence.n
    for look in reversed(sequence.looks):
        if look.n < ab_test.first_look or look.interval is None:
            break
        if _judge(look, ab_test.margin) != sequence.verdict:
            break
        at = look.n
    return at


def _judge(look: Look, margin: float) -> SequentialVerdict | None:
    assert look.interval is not None
    low, high = look.interval
    return judge_log_ratio(log(low), log(high), margin) if low <= high else None


def _describe_quality(state: SessionState, own: Quality) -> tuple[str, str, str]:
    """Return the badge, its colour role and a remark: the task, or the share of equal tokens."""
    output = own.output
    if own.deciding is not None:
        task = f"{own.deciding.task.name}, {own.deciding.n:,} items"
        return own.forms[0], BADGE_ROLES[own.badge], task
    if output is None and is_comparison_pending(state):
        return formatting.PENDING, "muted", "comparing"
    if output is None and state.ended is None and find_pending_answers(state):
        return formatting.PENDING, "muted", "answering"
    badge, text = own.badge, own.forms[-1]
    role = BADGE_ROLES.get(badge, "muted")
    if output is None or badge not in BADGE_ROLES or badge == "INVALID":
        return own.forms[0], role, ""
    figure = own.forms[0].removeprefix(text).strip()
    remarks = []
    if fidelity.has_lost_order(output):
        remarks.append("all sentences equally similar")
    elif output.similarity_rank is not None:
        remarks.append(f"similarities of sentences {figure}".strip())
    elif output.cosine_tokens is not None:
        remarks.append(f"cosine of tokens {figure}".strip())
    elif figure and not figure.startswith("top-1"):
        remarks.append(f"KLD {figure}")
    if output.top1 is not None and output.positions:
        remarks.append(f"top-1 {formatting.format_share(output.top1 / output.positions, 1)}")
    return text, role, ", ".join(remarks)


def _compare_energy_and_memory(
    state: SessionState, ab_test: ABTest, name: str
) -> tuple[str, str, str, str] | None:
    """Build the row `energy 0.68x memory 0.61x`; None if no figure is known for both arms.

    Memory is compared only between figures of one kind.
    """
    own, base = state.cells[name], state.cells[ab_test.first.id]
    ratios: list[tuple[str, str]] = []
    joules = [
        next(iter(energy.summarise_joules(state, cell).values()), None) for cell in (own, base)
    ]
    own_joules, base_joules = (summary.mean if summary else None for summary in joules)
    if own_joules and base_joules:
        ratios.append(("energy", formatting.format_ratio(own_joules / base_joules)))
    (size, kind), (base_size, base_kind) = get_memory_bytes(own), get_memory_bytes(base)
    if size and base_size and kind == base_kind:
        ratios.append((kind, formatting.format_ratio(size / base_size)))
    if not ratios:
        return None
    (label, first), *rest = ratios
    return label, "   ".join([first, *(f"{word} {value}" for word, value in rest)]), "text", "of A"


def get_memory_bytes(cell: CellState) -> tuple[float, str]:
    """Return the bytes a cell takes and their kind: `memory`, the peak, or before it `weights`.

    On a GPU the peak is what the cell's own process reserved, since both arms may share the GPU.
    """
    peak = cell.memory
    if peak is not None and (peak.reserved_bytes or peak.host_bytes):
        return float(peak.reserved_bytes or peak.host_bytes or 0), "memory"
    return (float(cell.load.weight_bytes), "weights") if cell.load else (0.0, "")
