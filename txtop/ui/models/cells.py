"""One cell as a row of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from txtop import formatting
from txtop.analysis import contention, drafts, metrics
from txtop.analysis.ratios import format_speed
from txtop.plan.knobs import BY_FIELD, KNOBS
from txtop.plan.plan import Plan
from txtop.state import accuracy, quality
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero_metrics import (
    FEW_BELOW,
    compute_speed_up,
    count_measured,
    explain_no_interval,
    get_table_metric,
)
from txtop.ui.models.standing import Standing, judge_standing


@dataclass(frozen=True)
class CellRow:
    """One cell as the table shows it.

    `state` is done, failed, running, waiting or skipped, and `standing` how far the rate of one
    that is done holds. Figures are text, empty where the cell has none; `rate_value` is the rate as
    a number, 0 if unknown, and `half` half the width of its interval as a share. `left` is the
    beginning of a note that says why a candidate is out of its race, or over a limit. `meaning` is
    the sign of the badges with its word. `offered` is the load of a server. `more` are
    (column, value) of the knobs without a field here. Others are compared with the cell that
    `is_reference`. A running one that `waits_turn` is loaded, while another arm is measured.
    """

    id: str
    state: str
    model: str
    precision: str
    batch: int
    attention: str
    length: int
    tokens: int
    threads: int | None
    ttft: str = ""
    tpot: str = ""
    forward: str = ""
    rate: str = ""
    rate_value: float = 0.0
    half: str = ""
    gib: str = ""
    note: str = ""
    left: str = ""
    ratio: str = ""
    badges: tuple[str, ...] = ()
    meaning: str = ""
    offered: str = ""
    more: tuple[tuple[str, Any], ...] = ()
    standing: Standing | None = None
    is_reference: bool = False
    waits_turn: bool = False

    def knob(self, column: str) -> Any:
        """Return the value of a knob, by the name of its column."""
        more = dict(self.more)
        return more[column] if column in more else getattr(self, column)


_MORE = [knob for knob in KNOBS if knob.column not in CellRow.__dataclass_fields__]


def build_cached_cell_row(
    session: SessionState, state: CellState, reference: CellState | None, cache: FrameCache
) -> CellRow:
    """Return the row of a cell, built again only where something may have changed.

    A thousand cells that are over or waiting thus cost a frame next to nothing.
    """
    name = state.cell.id
    if name in session.working or session.comparing is not None or session.answering is not None:
        return build_cell_row(session, state, reference, cache)
    made_of = (
        state,
        state.stage,
        state.memory,
        session.output_of(name) if session.fidelity else None,
        sum(map(len, session.answers.values())),
        cache.is_ready(state),
        session.word_departure(name),
        bool(session.loads),
        reference,
        reference is not None and reference.over and cache.is_ready(reference),
    )
    return cache.get_or_make(
        f"row {name}", made_of, lambda: build_cell_row(session, state, reference, cache)
    )


def build_cell_row(
    session: SessionState, state: CellState, reference: CellState | None, cache: FrameCache
) -> CellRow:
    """Build the row of a cell; one that is over has its final figures once they were computed."""
    cell, plan = state.cell, session.plan
    running = cell.id in session.working
    base = CellRow(
        id=cell.id,
        state=_row_state(state, running),
        model=cell.model_name,
        precision=cell.precision,
        batch=cell.batch_size,
        attention=state.attention,
        length=BY_FIELD["sequence_length"].of(cell),
        tokens=cell.new_tokens,
        threads=cell.threads,
        offered=cell.offered,
        more=tuple(
            (knob.column, None if (value := knob.of(cell)) is None else knob.in_column(value))
            for knob in _MORE
        ),
    )
    if base.state == "waiting":
        # Imported late: the outcomes of sessions that are over come without it.
        from txtop.forecast.memory_fit import read_forecast

        forecast = read_forecast(session, cell)
        peak = forecast.peak_bytes if forecast else None
        gib = "" if peak is None else formatting.format_gib(peak, "~")
        return replace(base, gib=gib, note=session.word_departure(cell.id))
    if base.state == "failed" and not state.invalid:
        dash = formatting.MISSING
        return replace(
            base, ttft=dash, tpot=dash, rate=dash, gib=dash, note=format_failure_reason(state)
        )
    now = get_table_metric(state, metrics.choose_headline_metric(state), cache, plan.seed)
    is_measured = now.mean is not None
    peak = state.peak_bytes
    wait = formatting.PENDING if base.state == "running" else formatting.MISSING
    relative = compute_speed_up(session, state, now.mean, reference, cache)
    has_badge = relative and cache.has_badge(session, cell.id)
    own = quality.get_quality(session, cell.id) if has_badge else None
    left = "" if running else session.word_departure(cell.id)
    note = _note_in_place(state, plan, base.state, now.n, is_reference=reference is state)
    if not note and now.half_width is None:
        note = _explain_no_interval(state, cache, plan.seed)
    return replace(
        base,
        standing=judge_standing(state, now) if base.state == "done" else None,
        ttft=_cell_ms(state, "ttft_ms", cache, plan.seed, wait),
        tpot=_cell_ms(state, "tpot_ms", cache, plan.seed, wait),
        forward=_cell_ms(state, "e2e_ms", cache, plan.seed, wait),
        rate=formatting.format_number(now.mean) if is_measured else wait,
        rate_value=now.mean or 0.0,
        half=formatting.format_half_width(now.half_width),
        gib=formatting.format_gib(peak) if peak else wait,
        note=_format_fidelity_progress(session, cell.id)
        or _format_answering(session, cell.id)
        or _join_departure(left, note, state),
        left=left,
        ratio=format_speed(session, cell.id, relative),
        badges=own.worded_forms if own else (),
        meaning=own.meaning if own else "",
        is_reference=reference is state,
        waits_turn=running and cell.id not in session.list_measured_now(),
    )


def _join_departure(why: str, note: str, state: CellState) -> str:
    """Put in front of a note why a candidate left its race: it says more than how it ended."""
    return (
        " · ".join(filter(None, [why, "" if note in ("reference", state.status) else note]))
        if why
        else note
    )


def _explain_no_interval(state: CellState, cache: FrameCache, seed: int) -> str:
    """Explain in the note why a figure has no interval, if it has one."""
    explained = explain_no_interval(state, cache, seed)[1]
    return explained.partition(":")[0] if explained.startswith("drifts") else explained


def _row_state(state: CellState, running: bool) -> str:
    if state.invalid or state.status in FAILED_STATUSES:
        return "failed"
    if running:
        return "running"
    if state.status == "ok":
        return "done"
    return "skipped" if state.over else "waiting"


def _cell_ms(state: CellState, name: str, cache: FrameCache, seed: int, wait: str) -> str:
    if (name == "e2e_ms") != (state.family == "encoder"):
        return ""
    mean = get_table_metric(state, name, cache, seed).mean
    return wait if mean is None else formatting.format_ms(mean)


def _note_in_place(
    state: CellState, plan: Plan, kind: str, stated_n: int, *, is_reference: bool
) -> str:
    """Return the note; of a cell at work beside others with its place in front."""
    note = _note(state, plan, kind, stated_n, is_reference=is_reference)
    return f"{state.place} {note}" if kind == "running" and state.place else note


def _note(state: CellState, plan: Plan, kind: str, stated_n: int, *, is_reference: bool) -> str:
    if state.invalid:
        return "INVALID"
    if kind == "skipped":
        return state.status
    if kind == "running":
        n = count_measured(state)
        if state.stage != "measuring":
            return "first" if state.stage == "first" else state.stage
        if state.cell.serving is not None:
            return f"{n}/{state.cell.serving.requests}"
        return f"{n}/{plan.fixed_iterations}" if plan.fixed_iterations else f"n {n}"
    if state.saturated:
        return "saturated"
    busy = contention.BUSY if contention.is_busy(state) else ""
    if accepted := drafts.describe_acceptance(state):
        checked = state.speculation
        unequal = checked is not None and checked.differs_at is not None
        return " · ".join(filter(None, (busy, drafts.UNEQUAL if unequal else accepted)))
    if busy:
        return busy
    if 0 < stated_n < FEW_BELOW:
        return formatting.format_few(stated_n)
    return "reference" if is_reference else ""


def _format_fidelity_progress(session: SessionState, name: str) -> str:
    """Format how much of the cell's output is compared; empty while none is being compared."""
    at = session.comparing
    if at is None or at.cell != name:
        return ""
    return f"comparing {formatting.format_share(at.done / at.total if at.total else 0)}"


def _format_answering(session: SessionState, name: str) -> str:
    """Format how many items of a task the cell answered; empty while it answers none."""
    at = session.answering
    return accuracy.describe_progress(session, *at) if at is not None and at[0] == name else ""


def format_failure_reason(state: CellState) -> str:
    """Format the reason of a failure in a few words: `oom@load 3.1 GiB`, or the reason itself."""
    ending = state.finished
    if ending is None:
        return state.reason or state.status
    place = f"@{ending.phase}" if ending.phase else ""
    if ending.status == "oom":
        requested = f" {formatting.format_size(ending.wanted_bytes)}" if ending.wanted_bytes else ""
        return f"oom{place}{requested}"
    if ending.status == "timeout":
        return f"timeout{place}"
    return ending.reason or f"{ending.status}{place}"
