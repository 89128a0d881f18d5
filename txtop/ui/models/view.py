"""The whole screen of a session as plain values, made off the UI thread.

`build_view` has no clock and does no I/O but to look up a model's size. A view holds no reference
to anything that still grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from txtop import formatting
from txtop.analysis import metrics
from txtop.forecast.time_left import compute_progress, estimate_time_left
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.model_names import name_together
from txtop.state.cell import FAILED_STATUSES, CellState
from txtop.state.session import SessionState
from txtop.system.device_names import get_device_kind
from txtop.ui.models.ab import ABView, build_ab
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.detail import CellDetailView, build_cell_detail
from txtop.ui.models.cells import CellRow, build_cached_cell_row
from txtop.ui.models.edge import EdgeView, build_edges
from txtop.ui.models.hero import HeroView, build_hero
from txtop.ui.models.machine import MachineView, build_machine
from txtop.ui.models.machine_detail import (
    NO_MACHINE_DETAIL,
    MachineDetailView,
    build_machine_detail,
)
from txtop.ui.models.machine_roofline import build_roofline
from txtop.ui.models.neighbours import build_neighbours_hero
from txtop.ui.models.race import RaceView, build_race
from txtop.ui.models.results import ResultsView, build_last_phase, build_results
from txtop.ui.models.tradeoffs.build import build_tradeoffs
from txtop.ui.models.tradeoffs.plot import NO_TRADEOFFS, TradeoffsView
from txtop.ui.models.why import WhyView, build_why
from txtop.units import NS_PER_S

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory
    from txtop.session.transport import Transport

MAX_LOG_LINES = 300
NO_HERO = HeroView()
NO_MACHINE = MachineView()
# Final figures take long: with more of them in one frame the screen would stall.
HEAVY_PER_FRAME = 1


@dataclass(frozen=True)
class Playback:
    """The position of a replay; `cells` are (start in ns, name, status).

    `caption` is a sentence on what is to be seen now; only a guided replay has one.
    """

    position_ns: int
    duration_ns: int
    speed: float = 1.0
    playing: bool = True
    backwards: bool = False
    shortened: bool = False
    cells: tuple[tuple[int, str, str], ...] = ()
    markers: tuple[int, ...] = ()
    caption: str = ""

    @classmethod
    def of(cls, player: Transport, caption: str = "") -> Playback:
        """Build it from a player's transport, cells by what tells them apart."""
        return cls(
            position_ns=player.position_ns,
            duration_ns=player.duration_ns,
            speed=player.speed,
            playing=player.playing,
            backwards=player.backwards,
            shortened=player.shortened,
            cells=tuple(
                (start, player.name_apart(name), status)
                for start, name, status in player.boundaries
            ),
            markers=tuple(at for at, _ in player.markers),
            caption=caption,
        )


@dataclass(frozen=True)
class Banner:
    """A message of the runner about the recording itself: a full disk, lost durability, silence."""

    text: str
    level: Literal["warn", "bad"] = "bad"


@dataclass(frozen=True)
class RailCell:
    """One cell on the rail: its state and the share of it that is done.

    `state` is done, failed, running, waiting or skipped.
    """

    state: str
    share: float = 0.0


@dataclass(frozen=True)
class LogRow:
    """One line of the log: `at` is its time as mm:ss, `who` the cell it concerns."""

    at: str
    who: str
    text: str
    level: str


@dataclass(frozen=True)
class View:
    """One frame of a session.

    `name` is the session's, `recorded` the date of its recording. `position` is that of the hero's
    cell among `count`, from 1; `running` is the index of the running one. `left` is the estimated
    time left. `phase` are forms of what the run does after its last cell, and `results` its
    outcome, which takes the hero's place. `edges` are those of a search for what fits, `race`
    that of a search for what to deploy, `why` the explanation of the hero's cell.
    `machine_detail` is the machine at full size, `ab` the A/B if it is one, `detail` the cell that
    is opened. `late` is True while the next frame would have more, though no event arrives.
    """

    model: str = ""
    facts: tuple[str, ...] = ()
    name: str = ""
    recorded: str = ""
    clock_ns: int = 0
    position: int = 0
    count: int = 0
    left: str = ""
    paused: bool = False
    ended: str = ""
    phase: tuple[str, ...] = ()
    banner: Banner | None = None
    playback: Playback | None = None
    rail: tuple[RailCell, ...] = ()
    hero: HeroView = NO_HERO
    results: ResultsView | None = None
    machine: MachineView = NO_MACHINE
    machine_detail: MachineDetailView = NO_MACHINE_DETAIL
    cells: tuple[CellRow, ...] = ()
    running: int | None = None
    tradeoffs: TradeoffsView = NO_TRADEOFFS
    edges: tuple[EdgeView, ...] = ()
    why: WhyView | None = None
    race: RaceView | None = None
    ab: ABView | None = None
    detail: CellDetailView | None = None
    log: tuple[LogRow, ...] = ()
    late: bool = False
    log_count: int = 0


@dataclass(frozen=True)
class SideBySideView:
    """One frame of two sessions side by side; both have the same transport.

    `comparable` is the line on whether their figures may be compared, `level` its colour.
    """

    left: View
    right: View
    comparable: str = ""
    level: Literal["muted", "warn"] = "muted"

    @property
    def late(self) -> bool:
        """Return True while the next frame of either session would have more."""
        return self.left.late or self.right.late


def _is_at_end(playback: Playback | None) -> bool:
    return playback is not None and playback.position_ns >= playback.duration_ns


def build_view(
    state: SessionState,
    *,
    cache: FrameCache | None = None,
    playback: Playback | None = None,
    banner: Banner | None = None,
    opened: str = "",
    name: str = "",
    past: RunHistory | None = None,
) -> View:
    """Build one frame of `state`.

    Keep one `cache` a session, so that a frame costs only what is new. `opened` is the cell whose
    detail is on the screen, if any. `name` is the present name of the session, by default that in
    its header. `past` are the durations of earlier runs on this machine.
    """
    cache = cache or FrameCache()
    order = list(state.cells.values())
    current = select_hero_cell(state)
    references = cache.references(state)
    header = state.header
    _compute_one_final(order, cache, state.plan.seed)
    phase = build_last_phase(state, cache)
    ab_test = build_ab(state, cache)
    rows = tuple(build_cached_cell_row(state, c, references.get(c.cell.id), cache) for c in order)
    return View(
        model=_format_models(order),
        facts=_list_facts(order, len(state.plan.places)),
        name=name or (header.name or header.session if header else ""),
        recorded=_format_date(header.wall_s) if header else "",
        clock_ns=state.clock_ns,
        position=_find_position(order, current),
        count=len(order),
        left=_estimate_left(state, order, ab_test),
        paused=state.paused,
        ended=state.ended.reason if state.ended else "",
        phase=phase,
        results=build_results(state, cache, phase),
        banner=banner,
        playback=playback,
        rail=tuple(_build_rail_cell(c, state) for c in order),
        hero=_build_hero(state, current, cache, past, replayed=playback is not None),
        machine=_build_machine_view(state, current, cache),
        machine_detail=cache.get_or_make(
            "machine_detail", _compute_machine_key(state), lambda: build_machine_detail(state)
        ),
        cells=rows,
        running=_find_running(order, state.current),
        tradeoffs=build_tradeoffs(state, rows, current, cache),
        edges=build_edges(state, {row.id: row for row in rows}),
        why=build_why(state, current, cache, is_over=_is_at_end(playback)),
        race=_build_cached_race(state, cache),
        ab=ab_test,
        detail=build_cell_detail(state, opened, cache) if opened else None,
        log=cache.get_or_make("log", _compute_log_key(state), lambda: _build_log(state, cache)),
        log_count=len(state.log),
        late=cache.late,
    )


def _build_hero(
    state: SessionState,
    current: CellState | None,
    cache: FrameCache,
    past: RunHistory | None,
    *,
    replayed: bool,
) -> HeroView:
    if (check := build_neighbours_hero(state, replayed=replayed)) is not None:
        return check
    if current is None:
        return NO_HERO
    references = cache.references(state)
    return build_hero(state, current, references, cache, past=past, replayed=replayed)


def _build_cached_race(state: SessionState, cache: FrameCache) -> RaceView | None:
    """Build the race anew after each block, departure, or change of who is at work."""
    if state.race is None:
        return None
    made_of = (
        len(state.race.blocks),
        len(state.log),
        len(state.fidelity),
        state.current,
        state.comparing is None,
        state.ended,
    )
    return cache.get_or_make("race", made_of, lambda: build_race(state, cache.names_apart(state)))


def _estimate_left(state: SessionState, order: list[CellState], ab_test: ABView | None) -> str:
    """Return the time left; empty for a search, whose work is not known before."""
    if ab_test is not None:
        return ab_test.left
    searches = state.plan.edge_search is not None or state.race is not None
    return "" if searches else estimate_time_left(state, order)


def select_hero_cell(state: SessionState) -> CellState | None:
    """Return the cell at work.

    Between two it is the last that ended, before all of them the first of the plan.
    """
    if state.current is not None:
        return state.cells.get(state.current)
    ended = [c for c in state.cells.values() if c.over]
    worked = [c for c in ended if c.worker] or ended
    if worked:
        return max(worked, key=lambda c: c.ended_at_ns)
    return next(iter(state.cells.values()), None)


def _compute_one_final(order: list[CellState], cache: FrameCache, seed: int) -> None:
    """Compute the final figures of one more cell that is over.

    After a seek there may be many at once: those that are `late` then are left to the next frames.
    """
    late = [c for c in order if c.over and c.samples.role and not cache.is_ready(c)]
    for state in late[:HEAVY_PER_FRAME]:
        cache.summarise_final(state, metrics.choose_headline_metric(state), seed)
    cache.late = len(late) > HEAVY_PER_FRAME


def _format_models(order: list[CellState]) -> str:
    return name_together(list(dict.fromkeys(c.cell.model_name for c in order)))


def _list_facts(order: list[CellState], places: int) -> tuple[str, ...]:
    """List what varies over the plan, most telling first: the header drops facts from the end."""

    def format_distinct(values: list[object]) -> list[str]:
        return [str(value) for value in dict.fromkeys(values)]

    cells = [c.cell for c in order]
    if not cells:
        return ()
    facts = [
        " → ".join(format_distinct([c.precision for c in cells])),
        " ".join(format_distinct([c.attention for c in order])),
        *_format_work(cells),
    ]
    files = format_distinct([c.prompts.name for c in cells if c.prompts is not None])
    if files:
        facts.append(f"prompts {' '.join(files)}")
    lengths = format_distinct([BY_FIELD["sequence_length"].of(c) for c in cells])
    if len(lengths) > 1:
        facts.append(f"length {' '.join(lengths)}")
    devices = format_distinct([c.load.device if c.load else c.cell.device for c in order])
    device = next((d for d in devices if d != "auto"), "")
    threads = next((c.load.threads for c in order if c.load), None) or cells[0].threads
    if device.startswith("cpu") and threads:
        device = f"{device} {formatting.format_count(threads, 'thread')}"
    if places > 1:
        kind = get_device_kind(device.partition(" ")[0] or cells[0].device)
        device = f"{kind}, {formatting.format_count(places, 'place')}"
    return (*facts, device) if device else tuple(facts)


def _format_work(cells: list[Cell]) -> list[str]:
    """Format the batches and the loads: `batch 1 8 32`, `dynamic continuous 2/s 4/s`.

    Scenarios that have the same loads are put together.
    """
    batches = dict.fromkeys(str(c.batch_size) for c in cells if c.serving is None)
    loads: dict[str, list[str]] = {}
    for cell in cells:
        if cell.serving is not None:
            scenario, _, load = cell.offered.partition(" ")
            loads.setdefault(scenario, []).append(load)
    same: dict[tuple[str, ...], list[str]] = {}
    for scenario, offered in loads.items():
        same.setdefault(tuple(dict.fromkeys(offered)), []).append(scenario)
    served = [" ".join([*scenarios, *offered]) for offered, scenarios in same.items()]
    return [*([f"batch {' '.join(batches)}"] if batches else []), *served]


def _format_date(wall_s: float) -> str:
    try:
        return datetime.fromtimestamp(wall_s).strftime("%d %b %Y, %H:%M").lstrip("0")
    except (OverflowError, OSError, ValueError):
        return ""


def _find_running(order: list[CellState], current: str | None) -> int | None:
    return next((i for i, c in enumerate(order) if c.cell.id == current), None)


def _find_position(order: list[CellState], current: CellState | None) -> int:
    return next((i for i, c in enumerate(order, start=1) if c is current), 0)


def _build_rail_cell(cell: CellState, state: SessionState) -> RailCell:
    if cell.invalid or cell.status in FAILED_STATUSES:
        return RailCell("failed", 1.0)
    if cell.over:
        return RailCell("done" if cell.status == "ok" else "skipped", 1.0)
    if cell.cell.id in state.list_measured_now():
        return RailCell("running", compute_progress(cell, state))
    return RailCell("waiting")


def _build_machine_view(
    state: SessionState, current: CellState | None, cache: FrameCache
) -> MachineView:
    """Build the machine once a second of the session: its histories have a point a second."""
    made_of = (*_compute_machine_key(state), current, current.load if current else None)

    def make() -> MachineView:
        return build_machine(
            state, current, build_roofline(state, current, cache) if current else None
        )

    return cache.get_or_make("machine", made_of, make)


def _compute_machine_key(state: SessionState) -> tuple[object, ...]:
    """Return the values that change when new readings of the machine are due."""
    return state.clock_ns // NS_PER_S, len(state.devices), len(state.gaps), state.ended


def _compute_log_key(state: SessionState) -> tuple[object, ...]:
    return len(state.log), *state.log[-1:]


def _build_log(state: SessionState, cache: FrameCache) -> tuple[LogRow, ...]:
    """Build the newest lines of the log, newest first."""
    names = cache.names_apart(state)
    return tuple(
        LogRow(
            formatting.format_clock(line.at_ns),
            names.get(line.cell or "", ""),
            line.text,
            line.level,
        )
        for line in reversed(state.log[-MAX_LOG_LINES:])
    )
