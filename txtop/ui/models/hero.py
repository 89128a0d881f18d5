"""The cell that is being measured, in figures and words: the model of the hero panel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from txtop import formatting
from txtop.analysis import contention, device_time, metrics
from txtop.analysis.live_reason import find_live_reason
from txtop.analysis.metrics import LiveSummary
from txtop.analysis.ratios import format_speed, name_reference
from txtop.plan.knobs import Knob, find_varying, order_knobs
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.state import quality
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.session import SessionState
from txtop.stats.summary import PERCENTILE_FLOORS
from txtop.ui.models import hero_metrics, requests
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero_metrics import Chart, HeroMetric
from txtop.ui.models.loading import (
    LoadingView,
    build_loading,
    find_expected_family,
    get_current_progress,
)
from txtop.ui.models.machine import describe_cell_throttle
from txtop.ui.models.requests import RequestsView
from txtop.ui.models.standing import SIGNS, Standing, get_sign, judge_standing

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory

NO_CHART = Chart()
# Model and precision come before these; device and weights are in the panel of the machine.
_IN_A_TITLE = order_knobs(
    first=(
        "attention",
        "batch_size",
        "compile",
        "cache",
        "speculative",
        "sequence_length",
        "new_tokens",
        "threads",
    ),
    without=("model", "precision", "device", "weights"),
)
PHASE_NAMES = {"to_device": "device", "first_forward": "first"}
PHASES_IN_WORDS = {
    "import": "importing PyTorch",
    "resolve": "looking for the model",
    "config": "reading the configuration",
    "weights": "reading the weights",
    "convert": "converting the weights",
    "to_device": "copying to the device",
    "first_forward": "first pass",
    "compile": "compiling",
}


@dataclass(frozen=True)
class HeroView:
    """The cell that is being measured, or the last one: one number and how far to believe it.

    `short_title` is what tells the cell from the others, for a title that does not fit. `value` in
    `unit` is that number, in the colour `number_role`; `half` and `interval` are its
    uncertainty. `word` is the state, in the colour `role`, behind its glyph `mark`; `why` is the
    line under it. `waits` is True until the cell is over. `notes` are alternatives, longest first.
    `loading` are the phases of a load, `requests` those of a server, `rows` the metrics below the
    chart; `itl` and `load` are (label, text).
    """

    title: str = "txtop"
    short_title: str = ""
    subtitle: tuple[tuple[str, str], ...] = ()
    value: float | None = None
    waits: bool = True
    unit: str = "tok/s"
    mark: str = "○"
    word: str = "waiting"
    role: str = "text"
    number_role: str = "muted"
    half: str = ""
    interval: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()
    ratio: str = ""
    ratio_of: str = ""
    badges: tuple[str, ...] = ()
    reason: str = ""
    hint: str = ""
    loading: LoadingView | None = None
    chart: Chart = NO_CHART
    requests: RequestsView | None = None
    rows: tuple[HeroMetric, ...] = ()
    itl: tuple[tuple[str, str], ...] = ()
    load: tuple[tuple[str, str], ...] = ()


def share_scale(one: HeroView, two: HeroView) -> tuple[HeroView, HeroView]:
    """Put two charts of one unit on one scale, so that heights can be compared."""
    charts = one.chart, two.chart
    if one.unit != two.unit or not all(chart.points for chart in charts):
        return one, two
    low, high = min(chart.low for chart in charts), max(chart.high for chart in charts)
    left, right = (replace(chart, low=low, high=high) for chart in charts)
    return replace(one, chart=left), replace(two, chart=right)


def build_hero(
    session: SessionState,
    cell: CellState,
    references: dict[str, CellState],
    cache: FrameCache,
    *,
    past: RunHistory | None = None,
    replayed: bool = False,
) -> HeroView:
    """Build the view of `cell`; `references` are the cells that others are compared with.

    `past` are the loads of earlier runs; a load that is `replayed` does not happen now, and the
    screen says so.
    """
    plan, seed = session.plan, session.plan.seed
    family = find_expected_family(session, cell, cache)
    name = metrics.choose_headline_metric(cell, family)
    now = cache.summarise_now(cell, name, seed)
    value = now.mean
    if value is None and cell.samples.role:
        value = metrics.compute_value(cell, name, len(cell.samples) - 1)
    broken = cell.over and cell.status in FAILED_STATUSES
    throttle = "" if cell.over else describe_cell_throttle(session, cell)
    busy = _describe_contention(session, cell)
    standing = judge_standing(cell, now) if cell.over and cell.status == "ok" else None
    mark, word, role = _describe_state(cell, session.paused, now, throttle, busy, standing)
    if cell.over and cell.status == "skipped":
        word = session.word_departure(cell.cell.id) or word
    if replayed and cell.stage == "loading":
        word = "load, replayed"
    reference = references.get(cell.cell.id)
    relative = None
    if reference is not cell:
        relative = hero_metrics.compute_speed_up(session, cell, now.mean, reference, cache)
    has_badge = relative and cache.has_badge(session, cell.cell.id)
    return HeroView(
        title=_join_place(_format_title(cell, list(session.cells.values())), cell),
        short_title=_join_place(cache.names_apart(session).get(cell.cell.id, ""), cell),
        subtitle=_build_subtitle(session, cell, now.n),
        value=None if broken else value,
        waits=not cell.over,
        unit=metrics.ITERATION_METRICS[name][0],
        mark=mark,
        word=word,
        role=role,
        number_role=_number_role(cell, now, standing),
        half=formatting.format_half_width(now.half_width),
        interval=formatting.format_interval(now.ci95),
        why=_explain_state(session, cell, throttle or busy, now.n)
        or ("" if now.ci95 else hero_metrics.explain_no_interval(cell, cache, seed)[1])
        or _find_reason(session, cell, cache, seed),
        notes=_list_notes(cell, cache, seed),
        ratio=format_speed(session, cell.cell.id, relative),
        ratio_of=_name_reference(session, cell, reference) if relative and reference else "",
        badges=quality.get_quality(session, cell.cell.id).worded_forms if has_badge else (),
        reason=cell.reason if cell.status != "ok" else "",
        hint=cell.hint,
        loading=build_loading(session, cell, past),
        chart=_build_chart(cell, plan, now, cache),
        requests=requests.build_requests(cell, plan),
        rows=hero_metrics.build_hero_metrics(cell, cache, seed, family)
        + _build_gpu_row(session, cell),
        itl=_format_itl(cell, cache, seed, family),
        load=_format_load(cell),
    )


def _name_reference(session: SessionState, cell: CellState, reference: CellState) -> str:
    """Name what the ratio is of; the work of the candidates of a race differs."""
    name = name_reference(session, reference.cell)
    return name if session.race is not None else f"of {name}, {cell.cell.work}"


def _find_reason(session: SessionState, cell: CellState, cache: FrameCache, seed: int) -> str:
    """Return the most likely reason for the speed, once something was measured."""
    if cell.stage not in ("measuring", "finished") or cell.status in FAILED_STATUSES:
        return ""
    return find_live_reason(session, cell, lambda name: cache.summarise_now(cell, name, seed).mean)


def _build_chart(cell: CellState, plan: Plan, now: LiveSummary, cache: FrameCache) -> Chart:
    """Build the chart when an iteration came; mean, interval and n are those of the big number."""
    chart = cache.get_or_make(
        ("chart", cell.cell.id),
        (cell.samples.role, len(cell.samples), cell.over),
        lambda: (
            hero_metrics.build_chart(cell, plan)
            if cell.cell.serving is None
            else requests.build_requests_chart(cell)
        ),
    )
    if chart.filled:
        return chart
    label = f"n {now.n}" if cell.over else chart.label
    return replace(chart, mean=now.mean, band=now.ci95, label=label)


def _format_title(state: CellState, order: list[CellState]) -> str:
    cell = state.cell
    parts = [cell.model_name, _format_precision(state)]
    others = [c.cell for c in order]
    for knob in _IN_A_TITLE:
        if knob.field == "batch_size":
            parts.append(cell.work)
        elif knob in find_varying(others, [knob]):
            parts += _label_knob(knob, state)
    return " · ".join(parts)


def _join_place(title: str, state: CellState) -> str:
    """Return the title with the place of the cell, in a plan that has several."""
    return f"{title} · {state.place}" if title and state.place else title


def _label_knob(knob: Knob, state: CellState) -> list[str]:
    """Return the parts of the title for a knob that varies between cells."""
    value = knob.of(state.cell)
    match knob.field:
        case "attention":
            ran = state.kernels.prefill if state.kernels else None
            return [f"sdpa ({ran})" if value == "sdpa" and ran else value]
        case _:
            return [] if value is None else [knob.label(value)]


def _format_precision(state: CellState) -> str:
    load = state.load
    if load is None or load.converted_share is None:
        return state.cell.precision
    rest = "of weights" if load.scheme else "converted"
    return f"{state.cell.precision} ({formatting.format_share(load.converted_share)} {rest})"


def _list_notes(cell: CellState, cache: FrameCache, seed: int) -> tuple[str, ...]:
    """Return the notes, longest wording first; the panel takes the first that fits."""
    if cell.stage in ("first", "warming"):
        return ("warm-up, not counted", "not counted")
    if cell.cell.serving is None:
        return ()
    answered = cache.summarise_now(cell, "requests_per_s", seed).mean
    made_of = cell.samples, len(cell.samples), cell.over, answered
    return cache.get_or_make(
        ("notes", cell.cell.id), made_of, lambda: requests.format_server_notes(cell, answered)
    )


def _describe_contention(session: SessionState, cell: CellState) -> str:
    """Return what others take from the cell now, or took from it if it is over; else nothing."""
    if cell.over:
        return contention.describe_busy_cell(cell) if cell.status == "ok" else ""
    if cell.stage not in ("loading", "first", "warming", "measuring") or session.paused:
        return ""
    if cell.stage == "loading":
        taken = contention.find_use_beside_load(session)
    else:
        taken = contention.find_present_contention(session, cell)
    return ", ".join(map(contention.describe_contention, taken))


def _describe_state(
    cell: CellState,
    paused: bool,
    now: LiveSummary,
    throttle: str,
    busy: str,
    standing: Standing | None,
) -> tuple[str, str, str]:
    """Return glyph, word and colour of the state of a cell, once it is over of its standing."""
    if cell.invalid:
        return "✗", "INVALID", "bad.bold"
    if standing is not None:
        return get_sign(cell, standing)
    if cell.over:
        if cell.status in FAILED_STATUSES:
            return "✗", hero_metrics.format_failure_tag(cell), "bad.bold"
        return "·", cell.status, "muted"
    if throttle:
        return "▲", "THROTTLED", "warn.bold"
    if busy:
        return SIGNS["busy"]
    if paused:
        return "‖", "paused", "text.bold"
    if metrics.is_stable(now):
        return SIGNS["steady"]
    first = "first iteration" if cell.cell.serving is None else "first request"
    return "○", first if cell.stage == "first" else cell.stage, "text"


def _number_role(cell: CellState, now: LiveSummary, standing: Standing | None) -> str:
    if cell.invalid:
        return "bad"
    served = standing == "saturated" and now.ci95 is not None
    if standing == "steady" or served or (standing is None and metrics.is_stable(now)):
        return "accent-a"
    return "text" if cell.status == "ok" else "muted"


def _explain_state(session: SessionState, cell: CellState, cause: str, n: int) -> str:
    """Return the line under the state's word: a cause, the progress, or that runs are few."""
    if cell.invalid:
        return "NaN or Inf in the logits"
    if cause:
        return cause
    if cell.stage == "loading":
        return _describe_loading(cell)
    if cell.stage in ("first", "warming"):
        done = len(cell.samples)
        planned = session.plan.warmup
        if cell.cell.serving is not None:
            return f"{done} of {session.plan.warmup_requests(cell.cell)} requests"
        return f"{done} so far, until steady" if planned is None else f"{done} of {1 + planned}"
    if 0 < n < hero_metrics.FEW_BELOW and (cell.over or n < 2):
        return formatting.format_few(n)
    return ""


def _describe_loading(cell: CellState) -> str:
    """Return the phase of a load, with the bytes that it has read or the CPU time it has used."""
    progress = get_current_progress(cell)
    if progress is not None:
        total = f" of {formatting.format_size(progress.total)}" if progress.total else ""
        return f"{progress.what} {formatting.format_size(progress.done)}{total}"
    phase = PHASES_IN_WORDS.get(cell.phase, cell.phase.replace("_", " "))
    if cell.progress is None or cell.progress.cpu_s is None:
        return phase
    return f"{phase}, {formatting.format_number(cell.progress.cpu_s)} s of CPU time"


def _build_subtitle(
    session: SessionState, cell: CellState, stated_n: int
) -> tuple[tuple[str, str], ...]:
    n, plan = hero_metrics.count_measured(cell), session.plan
    asked = cell.cell.serving
    if asked is not None and (n or cell.stage == "measuring"):
        return _build_server_subtitle(cell, n, asked.requests)
    if cell.stage == "measuring":
        of = f"/{plan.fixed_iterations}" if plan.fixed_iterations else ""
        of += f" · {_format_budget(plan.budget_s)}" if plan.timed and plan.tuning is None else ""
        return (("measuring ", "muted"), (str(n), "text"), (of, "muted"))
    if cell.over:
        why = cell.finished.stopped_by if cell.finished else ""
        return ((f"n {stated_n}" + (f" · {why}" if why else ""), "muted"),) if stated_n else ()
    return ((cell.stage, "muted"),)


def _build_server_subtitle(cell: CellState, n: int, sent: int) -> tuple[tuple[str, str], ...]:
    why = cell.finished.stopped_by if cell.finished else ""
    short = f" · {why}" if why in ("budget", "skip", "stop") else ""
    if not cell.over:
        return ((f"{cell.stage} ", "muted"), (str(n), "text"), (f"/{sent}", "muted"))
    return ((str(n), "text"), (f" of {sent} answered{short}", "muted"))


def _format_budget(budget_s: float) -> str:
    return f"up to {budget_s:.0f} s"


def _format_itl(
    cell: CellState, cache: FrameCache, seed: int, family: str | None
) -> tuple[tuple[str, str], ...]:
    """Format p50, p90 and p99 in ms, or how many iterations each still needs.

    Empty for an encoder.
    """
    if family == "encoder" or cell.cell.new_tokens < 2:
        return ()
    if cell.lag:
        return (("p50", "withheld"),)
    n = hero_metrics.count_measured(cell)
    return tuple(
        (
            name,
            formatting.format_ms(v)
            if v is not None
            else f"after {PERCENTILE_FLOORS[int(name[1:])]} ({n} so far)",
        )
        for name, v in cache.compute_itl_percentiles(cell, seed)
    )


def _build_gpu_row(session: SessionState, cell: CellState) -> tuple[HeroMetric, ...]:
    """Build the row of the share of a step in which the GPU computes; none before it is known."""
    step = device_time.find_busy_step(session, cell)
    if step is None:
        return ()
    verdict = "launch-bound" if step.launch_bound else f"of {step.name.partition(' ')[2]}"
    return (HeroMetric("GPU busy", f"{100 * step.share:.0f}", "%", tail=verdict),)


def _format_load(cell: CellState) -> tuple[tuple[str, str], ...]:
    """Format the load and its phases in seconds; empty before it is known."""
    if cell.load is None:
        return ()
    phases = [
        (p, formatting.format_number(s)) for p, s in label_load_phases(cell.load) if s >= 0.005
    ]
    return (("load", formatting.format_number(cell.load.load_s)), *phases)


def label_load_phases(load: events.ModelLoaded) -> tuple[tuple[str, float], ...]:
    """Return label and seconds of each phase of a load, in the order in which they ran."""
    named = [p for p in metrics.LOAD_PHASES if p in load.phases]
    named += [p for p in load.phases if p not in named]
    return tuple((PHASE_NAMES.get(p, p).replace("_", " "), load.phases[p]) for p in named)
