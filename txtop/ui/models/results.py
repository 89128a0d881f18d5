"""The outcome of a matrix: the fastest cell, the smallest, the best of each precision, the rest.

It takes the place of the cell that was measured last as soon as every cell is over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from txtop import formatting
from txtop.analysis import contention, metrics
from txtop.analysis.edge import find_edges, judge_probe
from txtop.analysis.metrics import LiveSummary
from txtop.analysis.ratios import format_speed, name_reference
from txtop.analysis.tuning import compute_figure, find_result, find_unit
from txtop.export.text import tuning as wording
from txtop.forecast.last_phase import count_pending_work, describe_last_phase, is_last_phase
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD, Knob, find_varying
from txtop.plan.labels import BESIDE_OTHERS, list_named
from txtop.plan.model_names import shorten_alike
from txtop.plan.tuning import OBJECTIVES
from txtop.state import quality
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.quality_cost import QualityCost, build_quality_cost
from txtop.state.session import SessionState
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cells import format_failure_reason
from txtop.ui.models.contests import (
    LENGTH_FIELDS,
    Contest,
    find_varying_lengths,
    label_length,
    rank_contests,
)
from txtop.ui.models.hero_metrics import FEW_BELOW, compute_speed_up
from txtop.ui.models.search_outcome import find_searched, word_race

MIN_CELLS = 2
SATURATED = "saturated"


@dataclass(frozen=True)
class ResultLine:
    """One line under the number: `half` are forms of the interval of `value` or of why it has
    none, `ratio` is its speed-up, and `remarks` are forms of what that costs in the colour `role`.
    Forms come from the longest to the shortest.
    """

    label: str
    value: str
    unit: str = ""
    half: tuple[str, ...] = ("",)
    name: str = ""
    ratio: str = ""
    remarks: tuple[str, ...] = ()
    role: str = "muted"


@dataclass(frozen=True)
class ResultsView:
    """The number is that of the fastest cell, `name` its label among the others.

    `number` has its digits and the prefix of its unit.

    Where lengths differ it is the fastest of one length, which `word` names. `number_role` is its
    colour: none where its output is no longer that of the model, or where it is doubtful. `remarks`
    are forms of that cost in the colour `role`, `figures` its measure, `why` forms of the doubt.
    `phase` are forms of what the run still does.
    """

    value: float | None
    number: tuple[str, str]
    unit: str
    word: str
    number_role: str
    half: str
    interval: str
    name: str
    why: tuple[str, ...]
    ratio: str
    remarks: tuple[str, ...]
    role: str
    figures: str
    counts: str
    phase: tuple[str, ...]
    lines: tuple[ResultLine, ...]


def build_last_phase(state: SessionState, cache: FrameCache) -> tuple[str, ...]:
    """Return forms of what the run does after its last cell, from the longest to the shortest."""
    if not is_last_phase(state):
        return ()
    made_of = len(state.fidelity), len(state.answered), len(state.device_times)
    pending = cache.get_or_make("pending", made_of, lambda: count_pending_work(state))
    return describe_last_phase(state, pending)


def build_results(
    state: SessionState, cache: FrameCache, phase: tuple[str, ...]
) -> ResultsView | None:
    """Build the outcome; `None` before all cells are over, of an A/B, and of a single cell."""
    cells = list(state.cells.values())
    if len(cells) < MIN_CELLS or state.ab_test is not None or not (state.ended or phase):
        return None
    made_of = (
        phase,
        len(state.fidelity),
        sum(map(len, state.answers.values())),
        len(state.device_times),
        state.ended,
        tuple(map(cache.is_ready, cells)),
    )
    return cache.get_or_make("results", made_of, lambda: _build(state, cells, cache, phase))


@dataclass(frozen=True)
class _Measured:
    """A cell that was measured, with its rate; `length` is empty where all have the same."""

    state: CellState
    rate: LiveSummary
    unit: str
    length: str

    @property
    def mean(self) -> float:
        return self.rate.mean or 0.0

    @property
    def contest(self) -> Contest:
        return self.unit, self.length


@dataclass(frozen=True)
class _Names:
    """The knobs in which cells differ, and what differs in the names of their models."""

    varying: tuple[Knob, ...]
    models: dict[str, str]

    @classmethod
    def of(cls, cells: Sequence[Cell]) -> _Names:
        models = shorten_alike(tuple(dict.fromkeys(cell.model_name for cell in cells)))
        return cls(tuple(find_varying(cells, BESIDE_OTHERS)), models)

    def label(self, cell: CellState, without: Collection[str] = ()) -> str:
        """Label a cell by what differs between the cells, and a server by its load."""
        own = cell.cell
        parts = [
            self.models[own.model_name] if knob.field == "model" else knob.call(own)
            for knob in list_named(own, self.varying)
            if knob.field not in without
        ]
        return " · ".join(dict.fromkeys([*parts, *filter(None, [own.offered])]))


def _build(
    state: SessionState, cells: Sequence[CellState], cache: FrameCache, phase: tuple[str, ...]
) -> ResultsView:
    names = _Names.of([c.cell for c in cells])
    lengths = find_varying_lengths([c.cell for c in cells])
    measured = [_measure(c, state, cache, lengths) for c in cells if _is_measured(c)]
    rated = [m for m in measured if m.rate.mean is not None]
    named = find_result(state)
    word, searched, size = find_searched(state, named)
    others = [] if state.plan.edge_search is None else _list_other_edges(rated, state, searched)
    if word:
        measured = rated = [m for m in rated if searched is not None and m.state is searched]
    contests = rank_contests([m.contest for m in rated])
    rivals = {contest: [m for m in rated if m.contest == contest] for contest in contests}
    best = {contest: _find_fastest(rivals[contest]) for contest in contests}
    doubts = {c: _explain_doubt(best[c], rivals[c], names) for c in contests}
    lines = [
        _build_rate_line(
            best[contest],
            f"best of {contest[1]}"
            if contest[1]
            else _choose_word(rivals[contest], doubts[contest]),
            names,
            state,
            cache,
            LENGTH_FIELDS if contest[1] else (),
        )
        for contest in contests[1:]
    ]
    lines += others
    if not word:
        first = contests[0][1] if contests else ""
        lines += _list_smallest([m for m in measured if m.length == first], names)
        lines += _list_best_of_each_precision(rated, names, state, cache)
    # That of a search for an edge is beyond it, with its reason in the panel of the search.
    if state.plan.edge_search is None or not contests:
        lines += _list_lost(cells, state)
    counts = _count_outcomes(cells, state)
    if not contests:
        word = "nothing was measured"
        if state.race is not None:
            word = wording.summarise_result(state, state.race)
            absence = [line.split(": ", 1) for line in wording.explain_absence(state, state.race)]
            lines[:0] = [ResultLine(label, "", name=why, role="text") for label, why in absence]
        return ResultsView(
            value=None,
            number=formatting.format_scaled(None),
            unit="",
            word=word,
            number_role="bad",
            half="",
            interval="",
            name="",
            why=(),
            ratio="",
            remarks=(),
            role="muted",
            figures="",
            counts=counts,
            phase=phase,
            lines=tuple(lines),
        )
    contest = contests[0]
    top = best[contest]
    cost = build_quality_cost(quality.get_quality(state, top.state.cell.id))
    relative, why = _compute_ratio(top, state, cache), doubts[contest]
    value, unit, rate, is_doubtful = top.rate.mean, top.unit, top.rate, bool(why)
    if named is not None and state.race is not None:
        objective = state.race.tuning.objective
        value, unit = compute_figure(state, top.state), find_unit(objective, top.state)
        if OBJECTIVES[objective].metric != metrics.choose_headline_metric(top.state):
            # The interval is that of a rate.
            rate = replace(rate, ci95=None)
        is_doubtful = not named.outcome.shows_difference
        relative, why = word_race(state, state.race, named, relative)
    number = formatting.format_scaled(value)
    if named is not None and value is not None and value < 1:
        # The digits that an objective has in the race and in the report.
        number = formatting.format_figure(value), ""
    return ResultsView(
        value=value,
        number=number,
        unit=unit,
        word=word or _word_headline(top, rivals[contest], why),
        number_role="muted" if cost.spoils else "text" if is_doubtful else "accent-a",
        half=formatting.format_half_width(rate.half_width),
        interval=formatting.format_interval(rate.ci95),
        name=size or names.label(top.state, LENGTH_FIELDS if top.length else ()),
        why=why,
        ratio=relative,
        remarks=_qualify(top, cost, relative, state, cache),
        role=cost.role if cost.remarks else "muted",
        figures=cost.figures[-1] if cost.figures else "",
        counts=counts,
        phase=phase,
        lines=tuple(lines),
    )


def _list_other_edges(
    rated: Sequence[_Measured], state: SessionState, searched: CellState | None
) -> list[ResultLine]:
    """Return a line for each further edge that was searched: the largest that ran."""
    largest = [(e, m) for e in find_edges(state) for m in rated if m.state is e.largest]
    return [
        ResultLine(
            f"{edge.axis.title} that ran",
            formatting.format_number(m.rate.mean),
            m.unit,
            _list_half_forms(m.rate),
            edge.axis.format_value(m.state.cell),
        )
        for edge, m in largest
        if m.state is not searched
    ]


def _measure(
    cell: CellState, state: SessionState, cache: FrameCache, lengths: Sequence[Knob]
) -> _Measured:
    name = metrics.choose_headline_metric(cell)
    rate = cache.summarise_now(cell, name, state.plan.seed) if cache.is_ready(cell) else None
    return _Measured(
        cell,
        rate or cache.summarise_live(cell, name),
        metrics.ITERATION_METRICS[name][0],
        label_length(cell.cell, lengths),
    )


def _find_fastest(rated: Sequence[_Measured]) -> _Measured:
    return max(rated, key=lambda m: m.mean)


def _choose_word(rivals: Sequence[_Measured], doubt: Sequence[str]) -> str:
    """Return what the highest rate is called: `fastest` where nothing is in doubt.

    A server that keeps up with its traffic is no faster for having been offered more.
    """
    offered = any(m.state.cell.serving and m.state.cell.serving.rate is not None for m in rivals)
    return "highest rate" if offered or doubt else "fastest"


def _word_headline(top: _Measured, rivals: Sequence[_Measured], doubt: Sequence[str]) -> str:
    """Return the word of the highest rate, with its length where lengths differ.

    A server that did not keep up is never named without saying so.
    """
    word = _choose_word(rivals, doubt)
    word = f"{word} of {top.length}" if top.length else word
    return f"{word}, {SATURATED}" if top.state.saturated else word


def _explain_doubt(top: _Measured, rivals: Sequence[_Measured], names: _Names) -> tuple[str, ...]:
    """Return forms of why the fastest may not be: few samples, no interval, or another within it.

    A saturated server has a rate, but requests came faster than it answered.
    """
    if top.rate.n < FEW_BELOW:
        return (formatting.format_few(top.rate.n),)
    if contention.is_busy(top.state):
        return "busy machine: it may not be the fastest", "busy machine"
    if top.rate.ci95 is None:
        return "no interval: it may not be the fastest", "no interval"
    low = top.rate.ci95[0]
    near = [m for m in rivals if m is not top and m.rate.ci95 and m.rate.ci95[1] >= low]
    if not near:
        return ("requests came faster than it answered",) if top.state.saturated else ()
    label = names.label(max(near, key=lambda m: m.mean).state, LENGTH_FIELDS if top.length else ())
    within = f"{label} is within its interval"
    return f"not clearly the fastest: {within}", within, "not clearly the fastest"


def _compute_ratio(measured: _Measured, state: SessionState, cache: FrameCache) -> str:
    """Return `1.47x fp32`, the speed beside the reference."""
    reference = cache.references(state).get(measured.state.cell.id)
    if reference is None or reference is measured.state:
        return ""
    relative = compute_speed_up(state, measured.state, measured.rate.mean, reference, cache)
    text = format_speed(state, measured.state.cell.id, relative)
    return f"{text} {name_reference(state, reference.cell)}" if text else ""


def _qualify(
    measured: _Measured, cost: QualityCost, ratio: str, state: SessionState, cache: FrameCache
) -> tuple[str, ...]:
    """Return forms of what a speed-up costs in quality, or that nobody knows.

    A speed never stands without its badge; an output that others are compared with has none.
    """
    name = measured.state.cell.id
    if cost.remarks or not ratio or not cache.has_badge(state, name):
        return cost.remarks
    forms = quality.get_quality(state, name).worded_forms
    return tuple(f"output {form}" if form.startswith("not measurable") else form for form in forms)


def _build_rate_line(
    measured: _Measured,
    label: str,
    names: _Names,
    state: SessionState,
    cache: FrameCache,
    without: Collection[str],
) -> ResultLine:
    cost = build_quality_cost(quality.get_quality(state, measured.state.cell.id))
    ratio = _compute_ratio(measured, state, cache)
    name = names.label(measured.state, without)
    return ResultLine(
        label=label,
        value=formatting.format_number(measured.rate.mean),
        unit=measured.unit,
        half=_list_half_forms(measured.rate),
        name=f"{SATURATED}: {name}" if measured.state.saturated else name,
        ratio=ratio,
        remarks=_qualify(measured, cost, ratio, state, cache),
        role=cost.role if cost.remarks else "muted",
    )


def _list_half_forms(rate: LiveSummary) -> tuple[str, ...]:
    if half := formatting.format_half_width(rate.half_width):
        return (half,)
    if 0 < rate.n < FEW_BELOW:
        return formatting.format_few(rate.n), formatting.format_count(rate.n, "sample")
    return (formatting.format_few(rate.n) if rate.n < FEW_BELOW else "no interval",)


def _list_smallest(measured: Sequence[_Measured], names: _Names) -> list[ResultLine]:
    sizes = [(size, m) for m in measured if (size := m.state.peak_bytes)]
    if not sizes:
        return []
    size, smallest = min(sizes, key=lambda pair: pair[0])
    name = names.label(smallest.state)
    return [
        ResultLine("smallest", formatting.format_gib(size), "GiB", ("peak memory", "peak"), name)
    ]


def _list_best_of_each_precision(
    rated: Sequence[_Measured],
    names: _Names,
    state: SessionState,
    cache: FrameCache,
) -> list[ResultLine]:
    """Return a line for each precision and contest, unless there is one precision alone."""
    if BY_FIELD["precision"] not in names.varying:
        return []
    by_precision: dict[tuple[str, Contest], list[_Measured]] = {}
    for m in rated:
        by_precision.setdefault((m.state.cell.precision, m.contest), []).append(m)
    return [
        _build_rate_line(
            _find_fastest(group),
            f"best {precision} of {length}" if length else f"best {precision}",
            names,
            state,
            cache,
            ("precision", *LENGTH_FIELDS) if length else ("precision",),
        )
        for (precision, (_, length)), group in by_precision.items()
    ]


_LOST: tuple[tuple[str, Callable[[CellState], bool]], ...] = (
    ("refused", lambda c: c.status == "rejected"),
    ("INVALID", lambda c: bool(c.invalid)),
    ("failed", lambda c: c.status in FAILED_STATUSES),
    ("left out", lambda c: c.over and c.status != "ok"),
)


def _list_lost(cells: Sequence[CellState], state: SessionState) -> list[ResultLine]:
    """Return a line for each way in which cells have no number, with the reason of the first."""
    ways: dict[str, list[CellState]] = {}
    rest = list(cells)
    for label, is_lost in _LOST:
        for cell in filter(is_lost, rest):
            ways.setdefault(state.word_departure(cell.cell.id) or label, []).append(cell)
        rest = [cell for cell in rest if not is_lost(cell)]
    lines = []
    for label, lost in ways.items():
        reasons = Counter(
            "NaN or Inf in the output" if c.invalid else format_failure_reason(c) for c in lost
        )
        reason, others = next(iter(reasons)), len(reasons) - 1
        more = f" · {formatting.format_count(others, 'other reason')}" if others else ""
        role = "bad" if any(c.invalid or c.status in FAILED_STATUSES for c in lost) else "muted"
        count = formatting.format_count(len(lost), _get_noun(state))
        name = "" if reason == label else f"{reason}{more}"
        lines.append(ResultLine(label, count, name=name, role=role))
    return lines


def _is_measured(cell: CellState) -> bool:
    return cell.status == "ok" and not cell.invalid


def _count_outcomes(cells: Sequence[CellState], state: SessionState) -> str:
    if (search := state.plan.edge_search) is not None:
        ran = sum(outcome.ran for c in cells if (outcome := judge_probe(c, search)) is not None)
        return f"{ran} of {formatting.format_count(len(cells), 'probe')} ran"
    measured = sum(map(_is_measured, cells))
    return f"{measured} of {formatting.format_count(len(cells), _get_noun(state))} measured"


def _get_noun(state: SessionState) -> str:
    return "cell" if state.race is None else "candidate"
