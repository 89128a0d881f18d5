"""Everything the screen shows, as plain values: made from a session's state, off the UI thread.

`build_view` has no clock and does no I/O but to look up a model's size. What it returns holds no
reference to what goes on growing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from txtop import formatting
from txtop.analysis import metrics
from txtop.forecast.time_left import compute_progress, estimate_time_left
from txtop.plan import labels
from txtop.plan.cell import Cell
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.ui.models import hero_metrics
from txtop.ui.models.ab import ABView, build_ab
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.detail import CellDetailView, build_cell_detail
from txtop.ui.models.cells import CellRow, build_cached_cell_row
from txtop.ui.models.hero import HeroView, build_hero
from txtop.ui.models.machine import MachineView, build_machine
from txtop.ui.models.machine_detail import MachineDetailView, build_machine_detail
from txtop.ui.models.machine_roofline import build_roofline
from txtop.ui.models.tradeoffs.build import build_tradeoffs
from txtop.ui.models.tradeoffs.plot import NO_TRADEOFFS, TradeoffsView
from txtop.units import NS_PER_S

if TYPE_CHECKING:
    from txtop.session.transport import Transport

MAX_LOG_LINES = 300
NO_HERO = HeroView()
NO_MACHINE = MachineView()
NO_MACHINE_DETAIL = MachineDetailView()
HEAVY_PER_FRAME = 1


@dataclass(frozen=True)
class Playback:
    """Where a replay stands. `cells` are their starts in ns, names and statuses."""

    position_ns: int
    duration_ns: int
    speed: float = 1.0
    playing: bool = True
    backwards: bool = False
    shortened: bool = False
    cells: tuple[tuple[int, str, str], ...] = ()
    markers: tuple[int, ...] = ()

    @classmethod
    def of(cls, player: Transport) -> Playback:
        """The transport of a player, cells by their short names."""
        return cls(
            position_ns=player.position_ns,
            duration_ns=player.duration_ns,
            speed=player.speed,
            playing=player.playing,
            backwards=player.backwards,
            shortened=player.shortened,
            cells=tuple(
                (start, player.cell_name(name), status) for start, name, status in player.boundaries
            ),
            markers=tuple(at for at, _ in player.markers),
        )


@dataclass(frozen=True)
class Banner:
    """What the runner says of the recording itself: a full disk, a lost durability, silence."""

    text: str
    level: Literal["warn", "bad"] = "bad"


@dataclass(frozen=True)
class RailCell:
    """One cell on the rail: done, failed, running, waiting or skipped, and how far it has come."""

    state: str
    share: float = 0.0


@dataclass(frozen=True)
class LogRow:
    """One line of the log; `at` as mm:ss, `who` the cell it is about."""

    at: str
    who: str
    text: str
    level: str


@dataclass(frozen=True)
class View:
    """One frame; `late` where the next would say more, though nothing happens."""

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
    failed: int = 0
    banner: Banner | None = None
    playback: Playback | None = None
    rail: tuple[RailCell, ...] = ()
    hero: HeroView = NO_HERO
    machine: MachineView = NO_MACHINE
    whole: MachineDetailView = NO_MACHINE_DETAIL
    cells: tuple[CellRow, ...] = ()
    running: int | None = None
    tradeoffs: TradeoffsView = NO_TRADEOFFS
    duel: ABView | None = None
    detail: CellDetailView | None = None
    log: tuple[LogRow, ...] = ()
    late: bool = False
    log_count: int = 0


@dataclass(frozen=True)
class SideBySideView:
    """One frame of two sessions side by side; both have the same transport. `comparable` says
    whether their figures may be held against each other."""

    left: View
    right: View
    comparable: str = ""
    level: Literal["muted", "warn"] = "muted"

    @property
    def late(self) -> bool:
        return self.left.late or self.right.late


def build_view(
    state: SessionState,
    *,
    memo: FrameCache | None = None,
    playback: Playback | None = None,
    banner: Banner | None = None,
    opened: str = "",
    name: str = "",
) -> View:
    """One frame of `state`. Keep one `memo` a session, so that a frame costs only what is new.

    `opened` is the cell whose detail is on the screen, if there is one. `name` is what the session
    is called now, by default what its header says.
    """
    memo = memo or FrameCache()
    order = list(state.cells.values())
    shown = select_hero_cell(state)
    references = memo.references(state)
    header = state.header
    _compute_one_final(order, memo, state.plan.seed)
    versus = build_ab(state, memo)
    rows = tuple(build_cached_cell_row(state, c, references.get(c.cell.id), memo) for c in order)
    return View(
        model=_format_models(order),
        facts=_list_facts(order),
        name=name or (header.name or header.session if header else ""),
        recorded=_format_date(header.wall_s) if header else "",
        clock_ns=state.clock_ns,
        position=_find_position(order, shown),
        count=len(order),
        left=versus.left if versus else estimate_time_left(state, order),
        paused=state.paused,
        ended=state.ended.reason if state.ended else "",
        failed=state.failed,
        banner=banner,
        playback=playback,
        rail=tuple(_build_rail_cell(c, state) for c in order),
        hero=build_hero(state, shown, references, memo) if shown else NO_HERO,
        machine=_build_machine_view(state, shown, memo),
        whole=memo.kept("whole", _compute_machine_key(state), lambda: build_machine_detail(state)),
        cells=rows,
        running=_find_running(order, state.current),
        tradeoffs=build_tradeoffs(state, rows, shown, memo),
        duel=versus,
        detail=build_cell_detail(state, opened, memo) if opened else None,
        log=memo.kept("log", _compute_log_key(state), lambda: _build_log(state)),
        log_count=len(state.log),
        late=memo.late,
    )


def select_hero_cell(state: SessionState) -> CellState | None:
    """The cell at work; between two, the last that ended; before all, the first of the plan."""
    if state.current is not None:
        return state.cells.get(state.current)
    ended = [c for c in state.cells.values() if c.over]
    worked = [c for c in ended if c.worker] or ended
    if worked:
        return max(worked, key=lambda c: c.ended_at_ns)
    return next(iter(state.cells.values()), None)


def _compute_one_final(order: list[CellState], memo: FrameCache, seed: int) -> None:
    """Brings the final figures of one more ended cell: after a seek there may be many at once.
    Those that are `late` then are for the next frames."""
    late = [c for c in order if c.over and c.samples.role and not memo.is_ready(c)]
    for state in late[:HEAVY_PER_FRAME]:
        memo.ended(state, metrics.choose_headline_metric(state), seed)
    memo.late = len(late) > HEAVY_PER_FRAME


def _format_models(order: list[CellState]) -> str:
    names = list(dict.fromkeys(c.cell.model for c in order))
    return names[0] + (f" +{len(names) - 1}" if len(names) > 1 else "") if names else ""


def _list_facts(order: list[CellState]) -> tuple[str, ...]:
    """What varies over the plan, most telling first: the header leaves out from the end."""

    def each(values: list[object]) -> list[str]:
        return [str(value) for value in dict.fromkeys(values)]

    cells = [c.cell for c in order]
    if not cells:
        return ()
    facts = [
        " → ".join(each([c.precision for c in cells])),
        " ".join(each([c.attention for c in cells])),
        *_format_work(cells),
    ]
    lengths = each([c.sequence_length for c in cells])
    if len(lengths) > 1:
        facts.append(f"length {' '.join(lengths)}")
    devices = each([c.load.device if c.load else c.cell.device for c in order])
    device = next((d for d in devices if d != "auto"), "")
    threads = next((c.load.threads for c in order if c.load), None) or cells[0].threads
    if device.startswith("cpu") and threads:
        device = f"{device} {threads} thread{'s' if threads > 1 else ''}"
    return (*facts, device) if device else tuple(facts)


def _format_work(cells: list[Cell]) -> list[str]:
    """`batch 1 8 32`, `dynamic continuous 2/s 4/s`: scenarios that have the same loads together."""
    batches = dict.fromkeys(str(c.batch_size) for c in cells if c.serving is None)
    loads: dict[str, list[str]] = {}
    for cell in cells:
        if cell.serving is not None:
            scenario, _, load = cell.offered.partition(" ")
            loads.setdefault(scenario, []).append(load)
    same: dict[tuple[str, ...], list[str]] = {}
    for scenario, each in loads.items():
        same.setdefault(tuple(dict.fromkeys(each)), []).append(scenario)
    served = [" ".join([*scenarios, *each]) for each, scenarios in same.items()]
    return [*([f"batch {' '.join(batches)}"] if batches else []), *served]


def _format_date(wall_s: float) -> str:
    try:
        return datetime.fromtimestamp(wall_s).strftime("%d %b %Y, %H:%M").lstrip("0")
    except (OverflowError, OSError, ValueError):
        return ""


def _find_running(order: list[CellState], current: str | None) -> int | None:
    return next((i for i, c in enumerate(order) if c.cell.id == current), None)


def _find_position(order: list[CellState], shown: CellState | None) -> int:
    return next((i for i, c in enumerate(order, start=1) if c is shown), 0)


def _build_rail_cell(cell: CellState, state: SessionState) -> RailCell:
    if cell.invalid or cell.status in hero_metrics.FAILED_STATUSES:
        return RailCell("failed", 1.0)
    if cell.over:
        return RailCell("done" if cell.status == "ok" else "skipped", 1.0)
    if cell.cell.id == state.current:
        return RailCell("running", compute_progress(cell, state))
    return RailCell("waiting")


def _build_machine_view(
    state: SessionState, shown: CellState | None, memo: FrameCache
) -> MachineView:
    """Once a second of the session: its histories have a point a second."""
    made_of = (*_compute_machine_key(state), shown, shown.load if shown else None)

    def make() -> MachineView:
        return build_machine(state, shown, build_roofline(state, shown, memo) if shown else None)

    return memo.kept("machine", made_of, make)


def _compute_machine_key(state: SessionState) -> tuple[object, ...]:
    """What is read of the machine changes with it."""
    return state.clock_ns // NS_PER_S, len(state.devices), len(state.gaps), state.ended


def _compute_log_key(state: SessionState) -> tuple[object, ...]:
    return len(state.log), *state.log[-1:]


def _build_log(state: SessionState) -> tuple[LogRow, ...]:
    """The newest lines, newest first."""
    return tuple(
        LogRow(
            formatting.format_clock(line.at_ns),
            labels.format_short_label(state.cells[line.cell].cell)
            if line.cell in state.cells
            else "",
            line.text,
            line.level,
        )
        for line in reversed(state.log[-MAX_LOG_LINES:])
    )
