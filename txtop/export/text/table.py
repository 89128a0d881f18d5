"""Write a session as plain text: the report at the end of a run, and of `txtop show`.

The Markdown export uses the same columns and rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from txtop.analysis import contention, drafts, energy, metrics, roofline
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.notes import build_cell_notes
from txtop.analysis.ratios import (
    compute_race_speed,
    compute_speeds,
    find_references,
    format_speed,
)
from txtop.export.text import (
    ab,
    accuracy,
    explanation,
    outputs,
    published,
    serving_table,
)
from txtop.export.text.columns import cut_cells, measure_cells
from txtop.export.text.fitting import format_table, hoist_shared, wrap_line
from txtop.formatting import (
    GIB,
    MISSING,
    format_figure,
    format_gibs,
    format_half_width,
    format_size,
    is_rough,
    join_reason,
)
from txtop.plan import labels, references
from txtop.plan.cell import Cell
from txtop.plan.knobs import find_varying, order_knobs
from txtop.plan.tuning import OBJECTIVES
from txtop.protocol.events import Machine
from txtop.sanitise import sanitise
from txtop.state import quality
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.summary import Summary, compute_relative_half_width

COLUMNS = (
    ("model", "<"),
    ("prec", "<"),
    ("attn", "<"),
    ("batch", ">"),
    ("len", ">"),
    ("new", ">"),
    ("load s", ">"),
    ("TTFT ms", ">"),
    ("TPOT ms", ">"),
    ("rate", ">"),
    ("95 %", ">"),
    ("unit", "<"),
    ("peak GiB", ">"),
    ("n", ">"),
    ("status", "<"),
)
MODEL_WIDTH = 40
CONFIRMED_NOTE = "these figures are of the confirmation, the others of the race, at another time"
ROUGH_NOTE = "a speed with ≈ is of too few blocks for an interval within a factor of ten"
# A note names so many cells, and by what tells them apart where a label is longer than this.
MAX_NAMED, MAX_LABEL_WIDTH = 8, 60
# Knobs without a column of their own get one if they were changed.
_TURNED = [
    knob
    for knob in order_knobs(first=("threads", "compile", "cache", "speculative"))
    if knob.heading and knob.heading not in dict(COLUMNS)
]


def list_columns(state: SessionState) -> tuple[tuple[str, str], ...]:
    """Return name and side of each column.

    Optional ones are the knobs that were changed, cost with a price, energy if read, the shares of
    the device's peaks where these are known, and speed and output beside the most precise cell of
    the same work, in a race the speed beside today's default.
    """
    cells = [c.cell for c in state.cells.values()]
    turned = [knob for knob in _TURNED if {knob.of(c) for c in cells} - {knob.default}]
    beside = [("cost", ">"), ("$ per", "<")] if state.plan.cost_per_hour else []
    if any(c.speculative != "none" for c in cells):
        beside += [("accept %", ">")]
    if any(_compute_energy(state, cell) for cell in state.cells.values()):
        beside += [("energy", ">"), ("J per", "<")]
    if state.peaks and any(c.serving is None for c in cells):
        beside += [("MBU %", ">"), ("MFU %", ">")]
    if find_references(state):
        beside += [("speed", ">"), ("output", "<")]
    arm = [("arm", "<")] if state.ab_test is not None else []
    knobs = ((knob.heading, "<") for knob in turned)
    batch = COLUMNS[3:4] if all(c.serving is None for c in cells) else (("batch", "<"),)
    return (*arm, *COLUMNS[:3], *knobs, *batch, *COLUMNS[4:-1], *beside, COLUMNS[-1])


def _compute_energy(state: SessionState, cell: CellState) -> Summary | None:
    """Return gross joules per token or sequence; None if they were not measured."""
    used = next(iter(energy.summarise_joules(state, cell).values()), None)
    return used if used and used.mean is not None else None


def build_rows(state: SessionState, finals: FinalMetrics) -> list[list[str]]:
    """Return a row for each cell, in the order of `list_columns`."""
    names = [name for name, _ in list_columns(state)]
    best, speeds = find_references(state), compute_speeds(state, finals)
    judged = references.find_output_references(state.list_accepted())
    rows = []
    for cell in state.cells.values():
        figures = finals.of(cell, state.plan.seed)
        by_name = dict(zip([n for n, _ in COLUMNS], build_row(cell, figures), strict=True))
        if state.find_family(cell.cell.id) == "encoder":
            by_name["new"] = MISSING
        by_name |= {
            knob.heading: knob.in_column(value) if (value := knob.of(cell.cell)) else "default"
            for knob in _TURNED
        }
        if (accepted := drafts.compute_acceptance(cell)) is not None:
            by_name["accept %"] = format_figure(100 * accepted)
        for money in metrics.compute_cost(cell, figures, state.plan.cost_per_hour).values():
            by_name |= {"cost": format_figure(money.mean), "$ per": money.unit.removeprefix("$/")}
        if used := _compute_energy(state, cell):
            by_name |= {"energy": format_figure(used.mean), "J per": used.unit.removeprefix("J/")}
        for name, used in roofline.summarise_utilisation(state, cell, figures).items():
            by_name |= {f"{name.upper()} %": format_figure(used.mean)}
        if cell.cell.id in best:
            speed = speeds.get(cell.cell.id)
            is_judged = cell.cell.id in judged
            speed_text = format_speed(state, cell.cell.id, speed)
            by_name |= _build_ratio_columns(state, cell, best[cell.cell.id], speed_text, is_judged)
        if why := state.word_departure(cell.cell.id):
            _, *remarks = by_name["status"].split(", ")
            by_name["status"] = ", ".join([why, *remarks])
        if state.ab_test is not None:
            by_name["arm"] = state.ab_test.letter(cell.cell.id)
        rows.append([by_name.get(name, MISSING) for name in names])
    return rows


def _build_ratio_columns(
    state: SessionState, cell: CellState, best: Cell, speed: str, is_judged: bool
) -> dict[str, str]:
    """Return the speed over the reference, with the output's badge where it `is_judged`.

    The speed never stands without the badge: speed says nothing if the output is worthless.
    """
    if cell.over and cell.status != "ok":
        return {}
    is_race, is_best = state.race is not None, best == cell.cell
    columns = {"output": quality.format_badge_forms(state, cell.cell.id)[0]}
    is_reference = not is_judged if is_race else is_best
    if is_reference:
        columns = {"output": "reference"}
    if is_race and is_best:
        columns["speed"] = "default"
    return columns | ({"speed": speed} if speed else {})


def format_precision(summary: Summary | None) -> str:
    """Format half the interval as a share of the mean, `±1.2 %`; `—` without one."""
    half = compute_relative_half_width(summary.mean, summary.ci95) if summary else None
    return format_half_width(half) or MISSING


def build_row(state: CellState, figures: dict[str, Summary]) -> list[str]:
    """Return the fields of one row, in the order of `COLUMNS`."""
    cell = state.cell

    def mean(name: str) -> float | None:
        return figures[name].mean if name in figures else None

    rate = figures.get(metrics.choose_headline_metric(state))
    peak = mean("peak_memory_reserved_bytes") or mean("peak_memory_host_bytes")
    status = "INVALID" if state.invalid else state.status if state.over else "unfinished"
    if status == "ok" and state.saturated:
        status = "ok, saturated"
    if status == "ok" and state.speculation and state.speculation.differs_at is not None:
        status = f"ok, {drafts.UNEQUAL}"
    if status == "ok" and contention.is_busy(state):
        status = f"ok, {contention.BUSY}"
    return [
        cut_cells(sanitise(cell.model_name), MODEL_WIDTH),
        cell.precision,
        state.attention,
        cell.offered or str(cell.batch_size),
        labels.format_length(cell),
        labels.format_new_tokens(cell),
        format_figure(mean("load_s")),
        format_figure(mean("ttft_ms")),
        format_figure(mean("tpot_ms")),
        format_figure(rate.mean if rate else None),
        format_precision(rate),
        (rate.unit if rate and rate.n else MISSING),
        format_gibs(peak or None)[0],
        str(rate.n if rate else 0),
        status,
    ]


def format_cell_line(state: CellState, finals: FinalMetrics, seed: int) -> str:
    """Format the line that a run prints when a cell ends."""
    figures = finals.of(state, seed)
    rate = figures.get(metrics.choose_headline_metric(state))
    if state.status != "ok" or rate is None:
        return f"{labels.format_short_label(state.cell)}: {_format_failure(state)}"
    parts = [f"{format_figure(rate.mean)} {rate.unit} {format_precision(rate)}"]
    if state.cell.serving is not None:
        parts += serving_table.build_summary_parts(state, figures)
    for name, label in (("ttft_ms", "TTFT"), ("tpot_ms", "TPOT"), ("e2e_ms", "forward")):
        is_listed = (name == "e2e_ms") == (state.family == "encoder")
        is_listed = is_listed and state.cell.serving is None
        if is_listed and name in figures and figures[name].mean is not None:
            parts.append(f"{label} {format_figure(figures[name].mean)} ms")
    if accepted := drafts.describe_acceptance(state):
        parts.append(accepted)
    remark = "  INVALID: NaN or Inf in logits" if state.invalid else ""
    if busy := contention.describe_busy_cell(state):
        remark += f"  {contention.BUSY}: {busy}"
    return sanitise(
        f"{labels.format_short_label(state.cell)}: " + "  ".join(parts) + f"  n = {rate.n}{remark}"
    )


def _format_failure(state: CellState, why: str = "") -> str:
    """Format how a cell failed, or `why` a candidate left its race before it had a figure."""
    if why:
        return sanitise(join_reason(why, state.reason))
    place = f" at {state.finished.phase}" if state.finished and state.finished.phase else ""
    wanted_bytes = state.finished.wanted_bytes if state.finished else None
    room = f"{format_size(wanted_bytes)} wanted" if wanted_bytes else ""
    reason = ": ".join(filter(None, (", ".join(filter(None, (state.reason, room))), state.hint)))
    return sanitise(f"{state.status}{place}" + (f": {reason}" if reason else ""))


def format_report(
    state: SessionState, finals: FinalMetrics, name: str = "", width: int | None = None
) -> str:
    """Format the whole report: heading, tables and notes; ends with a newline.

    `name` is the present name of the session; its header holds the first one. `width` is that of
    the terminal, in columns.
    """
    header = state.header
    if header is None:
        return "an empty session\n"
    when = datetime.fromtimestamp(header.wall_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = header.machine
    threads = sorted({load.threads for load in state.loads.values()})
    lines = [
        f"txtop session {sanitise(name or header.session, 80)}  {when}",
        sanitise(
            f"{machine.cpu}, {_format_cores(machine)}, {_format_memory(machine)}"
            + (f", model threads {', '.join(map(str, threads))}" if threads else "")
        ),
        "",
    ]
    if decided := ab.format_ab(state, width=width):
        lines += [*decided, ""]
    for outcome in list_outcomes(state, finals, name or header.session):
        lines += [*outcome, ""]
    shared, heading, rows = hoist_shared(list_columns(state), build_rows(state, finals))
    lines += [shared] if shared else []
    lines += format_table(heading, rows, width)
    if served := serving_table.format_serving_table(state, finals, width):
        lines += ["", *served]
    if compared := outputs.format_outputs(state, width):
        lines += ["", *compared]
    if answered := accuracy.format_accuracy(state, width):
        lines += ["", *answered]
    if notes := list_notes(state, finals):
        lines += ["", *notes]
    if explained := explanation.format_explanations(state):
        lines += ["", *explained]
    quoted = published.format_published(state, finals, format_figure)
    lines += ["", *quoted] if quoted else []
    if end := describe_end(state, name or header.session) or summarise_outcome(state):
        lines += ["", end]
    return "\n".join(part for line in lines for part in wrap_line(line, width)) + "\n"


def list_outcomes(state: SessionState, finals: FinalMetrics, name: str) -> list[list[str]]:
    """Return the lines of what a search found and of what a race names; what belongs to the first
    of them is indented. `name` is that of the session.
    """
    # Imported late: few sessions are searches or races, and what these need is half of all.
    outcomes: list[list[str]] = []
    if state.plan.edge_search is not None:
        from txtop.export.text import edge

        outcomes.append(edge.format_edges(state, finals))
    if state.race is not None:
        from txtop.export import snippet

        outcomes.append(snippet.format_recommendation(state, name))
    return list(filter(None, outcomes))


def list_notes(state: SessionState, finals: FinalMetrics) -> list[str]:
    """Return each failure and note once, after the cells that it is about."""
    notes: dict[str, list[str]] = {}
    for c in state.cells.values():
        why = state.word_departure(c.cell.id)
        failure = [_format_failure(c, why)] if c.over and c.status != "ok" else []
        for note in failure + build_cell_notes(state, c, finals):
            notes.setdefault(sanitise(note), []).append(c.cell.id)
    total = len(state.cells)
    notes |= list_race_notes(state)
    return [
        f"{'all cells' if len(ids) == total > 1 else ', '.join(_name_cells(state, ids))}: {note}"
        for note, ids in notes.items()
    ]


def list_race_notes(state: SessionState) -> dict[str, list[str]]:
    """Return what has to be known of the figures of a race, with the ids of its cells."""
    race = state.race
    if race is None:
        return {}
    notes = {CONFIRMED_NOTE: confirmed} if (confirmed := race.list_confirmed()) else {}
    speeds = {name: compute_race_speed(race, name) for name in race.race.candidates}
    speeds.pop(race.tuning.default, None)
    if any(speed for speed, _ in speeds.values()):
        as_good = OBJECTIVES[race.tuning.objective].as_good
        note = f"speed is how many times {as_good} as today's default, in the blocks that both have"
        notes[note] = [*state.cells]
    if rough := [name for name, (speed, ends) in speeds.items() if speed and is_rough(ends)]:
        notes[ROUGH_NOTE] = rough
    return notes


def describe_end(state: SessionState, name: str = "") -> str:
    """Describe how a session ended that is not done, with what it knows; empty for one that is.

    A search is not done if a skip ended it.

    `name` is that of a session that can be resumed by it.
    """
    if state.ended is None:
        return "the session has no end: it is still running or was cut off"
    is_skipped = False
    # Imported late, as above.
    if state.plan.edge_search is not None:
        from txtop.analysis.edge import find_edges

        is_skipped = any(edge.skipped for edge in find_edges(state))
    if state.ended.reason != "stopped" and not is_skipped:
        return ""
    how = "stopped before its end" if state.ended.reason == "stopped" else "a skip ended the search"
    end = ": ".join(filter(None, [how, summarise_outcome(state)]))
    return f"{end}; txtop resume {sanitise(name, 80)} goes on" if name else end


def summarise_outcome(state: SessionState) -> str:
    """Return the outcome of an A/B, a search or a race in one line; empty for another session.

    It is what remains on a small terminal of a report that begins with it.
    """
    if state.ab_test is not None:
        return "; ".join(ab.list_verdicts(state, state.ab_test))
    # Imported late, as above.
    if state.plan.edge_search is not None:
        from txtop.export.text import edge

        return edge.summarise_edges(state)
    if state.race is not None:
        from txtop.export.text import tuning

        return tuning.summarise_result(state, state.race)
    return ""


def _format_cores(machine: Machine) -> str:
    """Format the cores, and the part of them that affinity and the cgroup allow."""
    if machine.cores_allowed is None:
        return f"{machine.cores_physical} cores"
    return f"{machine.cores_allowed} of {machine.cores_logical} cores"


def _format_memory(machine: Machine) -> str:
    """Format the RAM, and the part of it that the cgroup allows."""
    limit, total = machine.memory_limit_bytes, f"{machine.memory_bytes / GIB:.0f} GiB"
    return f"{limit / GIB:.3g} of {total}" if limit else total


def _name_cells(state: SessionState, ids: list[str]) -> list[str]:
    """Name cells by a value that they alone have, by their labels, or by what tells them apart.

    The last is for all cells of a session in which one label is long.
    """
    if state.ab_test is not None:
        return [state.ab_test.letter(i) for i in ids]
    cells = [own.cell for own in state.cells.values()]
    if len(ids) > 1 and (values := _name_values(cells, set(ids))):
        return values
    names = {cell.id: sanitise(labels.format_short_label(cell)) for cell in cells}
    if len(cells) > 1 and max(map(measure_cells, names.values())) > MAX_LABEL_WIDTH:
        names = {name: sanitise(apart) for name, apart in labels.name_apart(cells).items()}
    more = len(ids) - MAX_NAMED
    return [*(names[i] for i in ids[:MAX_NAMED]), *([f"{more} more"] if more > 0 else [])]


def _name_values(cells: Sequence[Cell], ids: Collection[str]) -> list[str]:
    """Return the labels of the values of one knob that all cells of `ids` have and no other has.

    Of several knobs it is the one with fewest such values; there are fewer values than cells.
    """
    by_knob = []
    for knob in find_varying(cells, labels.BESIDE_OTHERS):
        own = {knob.call(cell) for cell in cells if cell.id in ids}
        others = {knob.call(cell) for cell in cells if cell.id not in ids}
        if len(own) < len(ids) and not own & others:
            by_knob.append(
                [sanitise(value) for value in dict.fromkeys(map(knob.call, cells)) if value in own]
            )
    return min(by_knob, key=len, default=[])
