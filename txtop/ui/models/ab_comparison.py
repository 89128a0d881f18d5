"""One comparison of an A/B as a screen shows it: one number, in words, and what is behind it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

from txtop import formatting
from txtop.analysis import energy
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.state.ab import ABTest
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.sequential import Look, SequentialVerdict, judge_log_ratio
from txtop.ui.models.ab_divergence import NO_DIVERGENCE, ABDivergenceView, build_ab_divergence

MAX_LOOKS = 240


FIDELITY_ROLES = {
    "lossless-like": "ok",
    "minor": "text",
    "visible": "warn",
    "broken": "bad",
    "INVALID": "bad",
}


@dataclass(frozen=True)
class FunnelInterval:
    """One row of the funnel; `counts` from the first look on that may decide."""

    block: int
    ratio: float
    low: float
    high: float
    counts: bool


@dataclass(frozen=True)
class ABComparisonView:
    """The arm `letter` against A: one number, in a word, how sure, and what stands behind it.

    `value` is null where nothing may be said. `rows` are label, value, role of the value, remark.
    """

    letter: str
    value: float | None = None
    role: str = "muted"
    word: str = ""
    word_role: str = "text.bold"
    interval: str = ""
    surely: str = ""
    rows: tuple[tuple[str, str, str, str], ...] = ()
    looks: tuple[FunnelInterval, ...] = ()
    difference: ABDivergenceView = NO_DIVERGENCE


def build_ab_comparison(state: SessionState, versus: ABTest, name: str) -> ABComparisonView:
    """Of the arm `name` against the first."""
    look, verdict = versus.look(name), versus.verdict(name, over=state.ended is not None)
    letter = versus.letter(name)
    base = ABComparisonView(
        letter=letter,
        rows=_rows(state, versus, name),
        looks=_build_funnel_intervals(versus, name),
        difference=build_ab_divergence(state, versus, name),
    )
    if why := versus.explain_no_verdict(name):
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
        doing = _describe_stage(state)
        value = look.ratio if look.n else None
        return replace(base, value=value, word=doing or "measuring", surely="no winner yet")
    low, high = look.interval
    shown = replace(
        base,
        value=look.ratio,
        interval=f"[{low:.2f}, {high:.2f}]  95 %",
        surely=_describe_certainty(versus),
    )
    return _apply_verdict(shown, state, versus, name, verdict, look)


def _apply_verdict(
    shown: ABComparisonView,
    state: SessionState,
    versus: ABTest,
    name: str,
    verdict: SequentialVerdict | None,
    look: Look,
) -> ABComparisonView:
    """The words and the colour of a verdict, or of none."""
    assert look.interval is not None
    low, high = look.interval
    if verdict == "faster":
        word = f"{shown.letter} is faster"
        return replace(shown, word=word, word_role="accent-b.bold", role="accent-b")
    if verdict == "slower":
        return replace(
            shown,
            value=1 / look.ratio,
            word="A is faster",
            word_role="accent-a.bold",
            role="accent-a",
            interval=f"[{1 / high:.2f}, {1 / low:.2f}]  95 %",
        )
    if verdict == "equivalent":
        measurable = versus.sequences[name].excludes_one
        least = (
            f"measurable: {formatting.format_share(abs(look.ratio - 1), 1)}"
            if measurable
            else shown.surely
        )
        word = (
            f"same within ±{versus.margin:.3g}"
            if versus.margin < 0.001
            else (f"same within ±{versus.margin * 100:.3g} %")
        )
        exact = f"[{low:.3f}, {high:.3f}]  95 %"
        return replace(shown, word=word, role="text", interval=exact, surely=least)
    if verdict == "inconclusive":
        why = "results contradict each other" if low > high else _explain_end(state, versus)
        return replace(shown, word="inconclusive", surely=why)
    return replace(shown, word="measuring", surely="no winner yet")


def _explain_end(state: SessionState, versus: ABTest) -> str:
    ended = {c.finished.stopped_by for c in state.cells.values() if c.finished}
    if "budget" in ended:
        return "time limit reached"
    return "stopped" if ended & {"stop", "skip"} else f"{versus.blocks} blocks"


def _describe_certainty(versus: ABTest) -> str:
    if versus.reloaded:
        return "indicative"
    return "assumes normal noise" if versus.paired else "holds at every check"


def _describe_stage(state: SessionState) -> str:
    """What happens before there is anything to say."""
    if state.ended is not None:
        return "no verdict"
    if state.comparing is not None:
        at = state.comparing
        return f"comparing outputs {formatting.format_share(at.done / at.total if at.total else 0)}"
    cell = state.cells.get(state.current or "")
    versus = state.versus
    if cell is None or versus is None:
        return "starting"
    words = {"loading": "loading", "first": "first iteration of", "warming": "warming"}
    word = words.get(cell.stage)
    return f"{word} {versus.letter(cell.cell.id)}" if word else "measuring"


def _build_funnel_intervals(versus: ABTest, name: str) -> tuple[FunnelInterval, ...]:
    """The first and the newest; an open one has no interval yet."""
    known = [look for look in versus.sequences[name].looks if look.interval is not None]
    if len(known) > MAX_LOOKS:
        known = [known[0], *known[-MAX_LOOKS:]]
    return tuple(
        FunnelInterval(look.n, look.ratio, *look.interval, look.n >= versus.first_look)
        for look in known
        if look.interval is not None
    )


def _rows(state: SessionState, versus: ABTest, name: str) -> tuple[tuple[str, str, str, str], ...]:
    sequence = versus.sequences[name]
    lost = sequence.n - sequence.wins
    discarded = len(versus.rounds) - versus.blocks
    remark = "" if sequence.n >= versus.first_look else f"at least {versus.first_look}"
    if discarded:
        remark = f"{remark}  {discarded} discarded".strip()
    margin = f"±{versus.margin * 100:.3g} %"
    found = [("margin", margin, "text", _margin_remark(versus, name))]
    won = f"{versus.letter(name)} {sequence.wins}  A {lost}"
    if versus.explain_no_verdict(name):
        found.append(("blocks", f"{sequence.n} that say nothing", "muted", ""))
    else:
        found.append(("blocks", won, "won", remark))
    output = state.output_of(name, versus.first.id)
    found.append(("fidelity", *_fidelity(state, output)))
    beside = _energy_and_memory(state, versus, name)
    return (*found, beside) if beside else tuple(found)


def _margin_remark(versus: ABTest, name: str) -> str:
    """When the interval left the margin band, or that it has not."""
    sequence = versus.sequences[name]
    if versus.explain_no_verdict(name) or sequence.n < versus.first_look:
        return ""
    if sequence.verdict == "inconclusive":
        return ""
    if sequence.verdict is None:
        return "interval still overlaps it"
    side = "inside" if sequence.verdict == "equivalent" else "outside"
    return f"{side} since block {_find_verdict_block(versus, name)}"


def _find_verdict_block(versus: ABTest, name: str) -> int:
    """The first block after which the verdict stood."""
    sequence = versus.sequences[name]
    at = sequence.n
    for look in reversed(sequence.looks):
        if look.n < versus.first_look or look.interval is None:
            break
        if _judge(look, versus.margin) != sequence.verdict:
            break
        at = look.n
    return at


def _judge(look: Look, margin: float) -> SequentialVerdict | None:
    assert look.interval is not None
    low, high = look.interval
    return judge_log_ratio(log(low), log(high), margin) if low <= high else None


def _fidelity(state: SessionState, found: Fidelity | None) -> tuple[str, str, str]:
    """Badge, its colour, and the share of equal top tokens."""
    if state.comparing is not None and found is None:
        return formatting.PENDING, "muted", "comparing"
    what = fidelity.compute_badge(found)
    words = fidelity.format_badge_forms(found)[0]
    remark = ""
    if found is not None and FIDELITY_ROLES.get(what) and what != "INVALID":
        if found.top1 is not None and found.positions:
            remark = f"top-1 {formatting.format_share(found.top1 / found.positions, 1)}"
        elif found.cosine_tokens is not None:
            remark = "cosine of tokens"
    return words, FIDELITY_ROLES.get(what, "muted"), remark


def _energy_and_memory(
    state: SessionState, versus: ABTest, name: str
) -> tuple[str, str, str, str] | None:
    """`energy 0.68x   memory 0.61x`, as far as both arms are known."""
    mine, base = state.cells[name], state.cells[versus.first.id]
    said: list[tuple[str, str]] = []
    joules = [
        next(iter(energy.summarise_joules(state, cell).values()), None) for cell in (mine, base)
    ]
    spent, usual = (used.mean if used else None for used in joules)
    if spent and usual:
        said.append(("energy", f"{spent / usual:.2f}x"))
    (size, what), (other, same) = get_memory_bytes(mine), get_memory_bytes(base)
    if size and other and what == same:
        said.append((what, f"{size / other:.2f}x"))
    if not said:
        return None
    (label, first), *rest = said
    return label, "   ".join([first, *(f"{word} {value}" for word, value in rest)]), "text", "of A"


def get_memory_bytes(cell: CellState) -> tuple[float, str]:
    """The peak once it is known, before that what the weights take. Of a GPU that both arms are
    on, what was reserved by this one."""
    peak = cell.memory
    if peak is not None and (peak.reserved_bytes or peak.host_bytes):
        return float(peak.reserved_bytes or peak.host_bytes or 0), "memory"
    return (float(cell.load.weight_bytes), "weights") if cell.load else (0.0, "")
