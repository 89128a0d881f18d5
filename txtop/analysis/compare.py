"""Compare two sets of sessions, cell by cell, for `txtop compare` and the side-by-side screen.

Cells pair up by what they measure; the test is `stats.unpaired`. Definitions: docs/method.md,
"Comparing sessions".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import fmean, median
from typing import Literal

import msgspec

from txtop.analysis import contention, energy, knee, metrics, serving
from txtop.analysis.compare_accuracy import AccuracyComparison, compare_accuracy
from txtop.analysis.places import count_places
from txtop.formatting import format_figure
from txtop.models.model_path import is_path
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.plan.knobs import KNOBS
from txtop.plan.model_names import name_models
from txtop.plan.task import DEFAULT_ACCURACY_MARGIN
from txtop.sanitise import sanitise
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.unpaired import UnpairedRatio, compare_unpaired, withhold_verdict

MatchKey = tuple[object, ...]
SessionCell = tuple[SessionState, CellState]
# What a note calls each recorded setting of a GPU; docs/sessions.md lists them all.
GPU_SETTINGS = {
    "compute capability": "compute_capability",
    "power limit (W)": "power_limit_w",
    "application clock (MHz)": "application_clock_mhz",
    "persistence mode": "persistence_mode",
    "compute mode": "compute_mode",
    "ECC": "ecc",
    "MIG": "mig",
    "MIG profile": "mig_profile",
    "power reading": "power_reading",
}
EXIT_CODES = {"regression": 1, "inconclusive": 3, "not comparable": 3, "no regression": 0}


@dataclass(frozen=True)
class CellComparison:
    """One cell on both sides.

    `contrast` is None if `reasons` list why the cell cannot be compared; `verdict` is then "not
    comparable". `base_rate` and `new_rate` are in `unit`, each the `average` of its iterations
    (`median`, of a server `mean`), of several sessions or starts the median of theirs; `notes`
    qualify a comparison that was made. What each side makes per watt is None where no power was
    read.
    """

    cell: str
    unit: str
    base_rate: float | None
    new_rate: float | None
    contrast: UnpairedRatio | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    verdict: str
    average: Literal["median", "mean"] = "median"
    base_per_watt: float | None = None
    new_per_watt: float | None = None


@dataclass(frozen=True)
class SessionComparison:
    """The comparison of all cells of two sides.

    `base` and `new` are the names of the sessions, `margin` is a share, and `outcome` a key of
    `EXIT_CODES`. `accuracy` is that in the tasks of both sides; with a `min_accuracy`, the least
    difference that is allowed, it decides the outcome too.
    """

    base: tuple[str, ...]
    new: tuple[str, ...]
    margin: float
    cells: tuple[CellComparison, ...]
    outcome: str
    accuracy: tuple[AccuracyComparison, ...] = ()
    min_accuracy: float | None = None

    @property
    def exit_code(self) -> int:
        """The exit code of `txtop compare`."""
        return EXIT_CODES[self.outcome]


def compare_sessions(
    base: list[SessionState],
    new: list[SessionState],
    margin: float,
    min_accuracy: float | None = None,
) -> SessionComparison:
    """Pair the cells of two sides by what they measure, and compare their times and accuracy."""
    pairs = pair_cells(base, new)
    cells = tuple(compare_cell(label, before, after, margin) for label, (before, after) in pairs)
    least = -DEFAULT_ACCURACY_MARGIN if min_accuracy is None else min_accuracy
    answered = tuple(
        comparison
        for label, (before, after) in pairs
        for comparison in compare_accuracy(label, before, after, least)
    )
    outcome = decide_outcome(cells)
    if min_accuracy is not None:
        outcome = add_accuracy(outcome, answered)
    return SessionComparison(
        _list_names(base), _list_names(new), margin, cells, outcome, answered, min_accuracy
    )


def find_obstacles(base: SessionState, new: SessionState) -> dict[str, list[str]]:
    """Return, for every cell of sessions A and B by its label, why it cannot be compared.

    The list of a cell that can be compared is empty.
    """
    return {
        label: list(map(sanitise, _find_reasons(before, after, ("A", "B"))))
        for label, (before, after) in pair_cells([base], [new])
    }


def decide_outcome(cells: Iterable[CellComparison]) -> str:
    """Return the outcome of a comparison: one slower cell makes it a regression.

    For "no regression" every cell has to be shown not to be slower.
    """
    verdicts = [c.verdict for c in cells]
    if "slower" in verdicts:
        return "regression"
    if not verdicts or set(verdicts) == {"not comparable"}:
        return "not comparable"
    fine = ("faster", "equivalent", "no slower")
    return "no regression" if all(v in fine for v in verdicts) else "inconclusive"


def add_accuracy(outcome: str, answered: Iterable[AccuracyComparison]) -> str:
    """Return the outcome of times and accuracy: a loss of it is a regression as well.

    Without a task on both sides, or one that is undecided, nothing is shown.
    """
    verdicts = {comparison.verdict for comparison in answered}
    if outcome == "regression" or "worse" in verdicts:
        return "regression"
    return outcome if verdicts == {"no worse"} else "inconclusive"


def decide_verdict(contrast: UnpairedRatio, margin: float) -> str:
    """Return the verdict of `contrast`, or "no slower" if only its upper end is out of bounds.

    The bounds are 1 / (1 + margin) and 1 + margin.
    """
    if (
        contrast.verdict == "inconclusive"
        and contrast.ci95
        and contrast.ci95[0] >= 1 / (1 + margin)
    ):
        return "no slower"
    return contrast.verdict


def _list_names(side: list[SessionState]) -> tuple[str, ...]:
    return tuple(sanitise(s.header.session, 80) if s.header else "" for s in side)


def _build_match_keys(cells: Iterable[Cell]) -> dict[str, MatchKey]:
    """Return, by the id of each cell, what it must share with another to be compared.

    A local model goes by its name among the models of its session: a checkout, a colleague's home
    and an older recording have other paths. The SLO is left out: it judges the requests and does
    not change the work.
    """
    cells = list(cells)
    names = name_models(cell.model for cell in cells)
    keys = {}
    for cell in cells:
        if is_path(cell.model):
            cell = msgspec.structs.replace(cell, model=f"./{names[cell.model]}")
        knobs = (knob.work(knob.of(cell)) for knob in KNOBS if knob.must_agree)
        load = cell.serving and msgspec.structs.replace(cell.serving, slo=None)
        keys[cell.id] = (*knobs, cell.scenario, load)
    return keys


def pair_cells(*sides: list[SessionState]) -> list[tuple[str, tuple[list[SessionCell], ...]]]:
    """Return each cell that any side has: its label, and what is the same cell on every side."""
    states = [state for side in sides for state in side]
    ambiguous = _find_ambiguous_keys(states)
    names = _name_models(states)
    groups = [_group_by_key(side, ambiguous) for side in sides]
    pairs = []
    for key in dict.fromkeys(key for group in groups for key in group):
        own = tuple(group.get(key, []) for group in groups)
        pairs.append((_label(next(filter(None, own))[0][1].cell, names), own))
    return pairs


def _find_ambiguous_keys(states: list[SessionState]) -> set[MatchKey]:
    """Return the keys that several cells of one session share.

    Such cells are told apart by the other knobs too.
    """
    ambiguous: set[MatchKey] = set()
    for state in states:
        keys = list(_build_match_keys(own.cell for own in state.cells.values()).values())
        ambiguous |= {key for key in keys if keys.count(key) > 1}
    return ambiguous


def _group_by_key(
    states: list[SessionState], ambiguous: set[MatchKey]
) -> dict[MatchKey, list[SessionCell]]:
    """Return the cells of all sessions by key; an ambiguous key is extended by the other knobs."""
    groups: dict[MatchKey, list[SessionCell]] = {}
    for state in states:
        keys = _build_match_keys(own.cell for own in state.cells.values())
        for cell in state.cells.values():
            key = keys[cell.cell.id]
            rest = (knob.of(cell.cell) for knob in KNOBS if not knob.must_agree)
            full = (*key, *rest) if key in ambiguous else key
            groups.setdefault(full, []).append((state, cell))
    return groups


def _name_models(states: list[SessionState]) -> dict[str, str]:
    """Return the name of each model beside those of all sessions."""
    return name_models(c.cell.model for state in states for c in state.cells.values())


def _label(cell: Cell, names: Mapping[str, str]) -> str:
    named = msgspec.structs.replace(cell, alias=names[cell.model])
    return sanitise(labels.format_short_label(named))


def compare_cell(
    label: str,
    base: list[SessionCell],
    new: list[SessionCell],
    margin: float,
    *,
    across_hardware: bool = False,
) -> CellComparison:
    """Compare one cell, called `label`, on two sides.

    The device and its driver have to agree, but for `across_hardware`, which leaves them out.
    """
    first = (base or new)[0][1]
    skipped = _OF_HARDWARE if across_hardware else ()
    reasons = _find_reasons(base, new, ("base", "new"), skipped)
    notes = _find_differences(_MAY_DIFFER, base, new) if base and new else []
    notes += [] if across_hardware else _find_setting_differences(base, new)
    for name, side in (("base", base), ("new", new)):
        if any(c.samples.kept() and metrics.judge_cell(c).steady is False for _, c in side):
            notes.append(f"speed drifted in {name}")
        notes += [
            f"{contention.BUSY} in {name}: {contention.describe_busy_cell(c)}"
            for _, c in side
            if contention.is_busy(c)
        ]
    if first.cell.serving is not None:
        notes.append("by E2E of requests, in ten batches of neighbours: needs 20 answers")
        notes += _find_saturation_reasons(base, new)
    contrast = (
        None if reasons else compare_unpaired(_collect_times(base), _collect_times(new), margin)
    )
    if contrast is not None and any(contention.is_busy(c) for _, c in [*base, *new]):
        contrast = withhold_verdict(contrast)
    return CellComparison(
        cell=label,
        unit=metrics.get_headline_unit(first),
        base_rate=compute_rate(base),
        new_rate=compute_rate(new),
        contrast=contrast,
        reasons=tuple(map(sanitise, reasons)),
        notes=tuple(map(sanitise, notes)),
        verdict=decide_verdict(contrast, margin) if contrast else "not comparable",
        base_per_watt=compute_per_watt(base),
        new_per_watt=compute_per_watt(new),
        average="median" if first.cell.serving is None else "mean",
    )


def _find_reasons(
    base: list[SessionCell],
    new: list[SessionCell],
    names: tuple[str, str],
    skipped: Collection[str] = (),
) -> list[str]:
    """Return why the two sides of a cell cannot be compared, without the facts that are skipped."""
    if not base or not new:
        return [f"only in {names[0] if base else names[1]}"]
    missing = [*_find_missing_results(names[0], base), *_find_missing_results(names[1], new)]
    return missing or [
        *_find_differences(
            {what: fact for what, fact in _MUST_AGREE.items() if what not in skipped}, base, new
        ),
        *_find_traffic_reasons(base, new),
    ]


def _find_traffic_reasons(base: list[SessionCell], new: list[SessionCell]) -> list[str]:
    """Return why the E2E of two servers does not show which is faster."""
    both = [cell for _, cell in [*base, *new]]
    if not serving.have_same_traffic(both):
        rates = [format_figure(knee.compute_offered_rate(side[0][1])) for side in (base, new)]
        return [f"another load: {rates[0]} per second against {rates[1]}"]
    if all(c.saturated for c in both):
        return ["saturated on both sides: the longer the load, the longer E2E; --concurrency tells"]
    return []


def _find_saturation_reasons(base: list[SessionCell], new: list[SessionCell]) -> list[str]:
    """Return a note if only one side is saturated.

    That side is the slower one, but by how much has no limit: its latencies grow with the duration
    of the load.
    """
    full = [any(c.saturated for _, c in side) for side in (base, new)]
    return [f"saturated in {'base' if full[0] else 'new'} alone"] if full[0] != full[1] else []


def _collect_times(side: list[SessionCell]) -> list[list[float]]:
    return [times for _, cell in side for times in metrics.list_comparison_times_ns(cell)]


def compute_rate(side: list[SessionCell]) -> float | None:
    """Return the median over sessions of each session's middle rate; None without a value.

    The middle is the median of a session's iterations; each complete one of several starts counts
    as a session, as in the comparison of times. The rate of a server covers the whole window, so
    there it is the mean over the parts of the window.
    """
    rates_by_session = [
        metrics.compute_values(c, metrics.choose_headline_metric(c), places)
        for _, c in side
        for places in metrics.list_compared_iterations(c)
    ]
    middle = median if side and side[0][1].cell.serving is None else fmean
    rates = [middle(values) for values in rates_by_session if values]
    return median(rates) if rates else None


def compute_per_watt(side: list[SessionCell]) -> float | None:
    """Return what a side makes a second per watt: the inverse of its joules; None if unread."""
    joules = [
        used.mean
        for state, cell in side
        if (used := next(iter(energy.summarise_joules(state, cell).values()), None)) and used.mean
    ]
    return 1 / median(joules) if joules else None


def _find_missing_results(name: str, side: list[SessionCell]) -> list[str]:
    """Return why one side of a cell, called `name`, has no usable result."""
    reasons = []
    bad = [c.status if c.over else "unfinished" for _, c in side if c.status != "ok"]
    of = f" ({len(bad)} of {len(side)} sessions)" if len(side) > 1 else ""
    if bad:
        reasons.append(f"no result in {name}: {', '.join(dict.fromkeys(bad))}{of}")
    if any(c.invalid for _, c in side):
        reasons.append(f"INVALID in {name}")
    return reasons


def _find_differences(
    facts: Mapping[str, Callable[[SessionCell], str | None]],
    base: list[SessionCell],
    new: list[SessionCell],
) -> list[str]:
    """Return a line for every fact that is not the same in all sessions of both sides.

    A fact is None in a session that did not record it. A side that lacks it gives no line.
    """
    differences = []
    for what, fact in facts.items():
        old, fresh = (
            sorted({text for p in side if (text := fact(p)) is not None}) for side in (base, new)
        )
        if old and fresh and len({*old, *fresh}) > 1:
            differences.append(f"{what}: {' or '.join(old)} against {' or '.join(fresh)}")
    return differences


def _find_setting_differences(base: list[SessionCell], new: list[SessionCell]) -> list[str]:
    """Return a line for every setting of the GPU, and of the environment, that differs."""
    cells = [cell for _, cell in [*base, *new]]
    variables = sorted({name for c in cells if c.load for name in c.load.environment})
    settings = {what: partial(_read_gpu_fact, name) for what, name in GPU_SETTINGS.items()}
    settings |= {name: partial(_read_environment, name) for name in variables}
    return _find_differences(settings, base, new)


def _read_gpu_fact(name: str, pair: SessionCell) -> str | None:
    """Return a recorded setting of the GPU of a cell; None on a CPU and in old sessions."""
    state, cell = pair
    device = state.gpu(cell.load.device_id) if cell.load else None
    return state.devices[device].facts.get(name) if device else None


def _read_environment(name: str, pair: SessionCell) -> str | None:
    """Return what bends the numbers of a cell from outside; None in old sessions."""
    load = pair[1].load
    return load.environment.get(name, "unset") if load and load.environment else None


def _describe_weights(pair: SessionCell) -> str:
    load = pair[1].load
    return f"{load.weights} ({load.parameters:,} parameters)" if load else "unknown"


def _describe_inputs(pair: SessionCell) -> str:
    return pair[1].workload.inputs_sha256[:12] if pair[1].workload else "unknown"


def _describe_tokens(pair: SessionCell) -> str:
    if pair[1].cell.serving is not None:
        return "as its requests ask"
    made = {pair[1].samples.tokens[i] for i in metrics.select_final_iterations(pair[1])}
    return ", ".join(map(str, sorted(made)))


def _describe_driver(pair: SessionCell) -> str:
    state, cell = pair
    device = state.gpu(cell.load.device_id) if cell.load else None
    return state.devices[device].versions.get("nvidia_driver", "unknown") if device else "none"


def _describe_version(name: str) -> Callable[[SessionCell], str]:
    """Return a function that reads a package's version, the worker's before the header's."""

    def of(pair: SessionCell) -> str:
        state, cell = pair
        versions = dict(state.header.versions) if state.header else {}
        versions |= cell.load.versions if cell.load else {}
        return versions.get(name, "unknown")

    return of


_OF_HARDWARE = ("another device", "another driver")
_MUST_AGREE: dict[str, Callable[[SessionCell], str]] = {
    "another device": lambda p: p[1].load.device_name if p[1].load else "unknown",
    "another driver": _describe_driver,
    "other weights": _describe_weights,
    "other input ids": _describe_inputs,
    "other attention": lambda p: p[1].load.attention if p[1].load else "unknown",
    "other new tokens": _describe_tokens,
}
_MAY_DIFFER: dict[str, Callable[[SessionCell], str]] = {
    "path of the model": lambda p: p[1].cell.model,
    "places side by side": lambda p: str(count_places(p[0].cells.values())),
    "threads": lambda p: str(p[1].load.threads) if p[1].load else "unknown",
    **{name: _describe_version(name) for name in ("txtop", "torch", "transformers")},
}
