"""What a session amounts to so far: events folded in order, without clock and without I/O."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import Literal

from txtop import events
from txtop.events import AnyEvent
from txtop.plan import Cell, Plan

Stage = Literal["waiting", "loading", "first", "warming", "measuring", "finished", "rejected"]
HOST = "host"
NONE_NS = -1
MAX_NS = 2**63 - 1


@dataclass
class Samples:
    """Every iteration of one cell, in columns that are only ever appended to. Times in ns.

    `gaps_ns` holds the tokens of all complete iterations, one after the other: those of
    iteration i are `gaps_ns[gaps_from[i]:gaps_from[i + 1]]`, the first being its TTFT.
    """

    role: list[events.Role] = field(default_factory=list)
    start_ns: array[int] = field(default_factory=lambda: array("q"))
    e2e_ns: array[int] = field(default_factory=lambda: array("q"))
    ttft_ns: array[int] = field(default_factory=lambda: array("q"))
    encoder_ns: array[int] = field(default_factory=lambda: array("q"))
    tokens: array[int] = field(default_factory=lambda: array("q"))
    gaps_ns: array[int] = field(default_factory=lambda: array("q"))
    gaps_from: array[int] = field(default_factory=lambda: array("q", [0]))
    discarded: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.role)

    def kept(self) -> list[int]:
        """Places of the measured iterations, without those of discarded blocks."""
        out = self.discarded
        return [i for i, role in enumerate(self.role) if role == "measured" and i not in out]

    def gaps(self, i: int) -> array[int]:
        """Durations of the tokens of iteration i, TTFT first; empty for an encoder."""
        return self.gaps_ns[self.gaps_from[i] : self.gaps_from[i + 1]]


@dataclass
class CellState:
    """One cell as far as it has come."""

    cell: Cell
    stage: Stage = "waiting"
    worker: str = ""
    shares_weights: bool = False
    phase: str = ""
    load: events.Load | None = None
    workload: events.Workload | None = None
    kernels: events.Kernels | None = None
    memory: events.Memory | None = None
    progress: events.Progress | None = None
    finished: events.CellFinished | None = None
    rejected: events.CellRejected | None = None
    samples: Samples = field(default_factory=Samples)
    blocks: list[events.Block] = field(default_factory=list)
    open_gaps_ns: array[int] = field(default_factory=lambda: array("q"))
    open_index: int = -1
    lag: bool = False
    invalid: int = 0
    started_at_ns: int = 0
    ended_at_ns: int = 0
    measured_from_ns: int = 0
    measured_to_ns: int = 0

    @property
    def status(self) -> str:
        """ok, oom, failed, timeout, skipped, cancelled, rejected; else the stage."""
        if self.finished:
            return self.finished.status
        return self.stage

    @property
    def reason(self) -> str:
        """Why it failed or was refused; empty when all is well."""
        ending = self.finished or self.rejected
        return ending.reason if ending else ""

    @property
    def hint(self) -> str:
        ending = self.finished or self.rejected
        return ending.hint if ending else ""

    @property
    def over(self) -> bool:
        return self.stage in ("finished", "rejected")

    @property
    def family(self) -> str | None:
        return self.load.family if self.load else None


@dataclass
class Device:
    """The series of one watched device: session clock in ns beside values, NaN where unread."""

    label: str = ""
    series: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def last(self, name: str) -> float | None:
        if name not in self.series:
            return None
        value = self.series[name][1][-1]
        return None if math.isnan(value) else value


@dataclass
class LogLine:
    at_ns: int
    text: str
    level: str = "info"
    cell: str | None = None


@dataclass
class SessionState:
    """Everything a screen, a table or an export is made from.

    `clock_ns` is the session's own time: monotonic, without the hours between two segments.
    """

    header: events.Header | None = None
    cells: dict[str, CellState] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    markers: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[tuple[int, events.Gap]] = field(default_factory=list)
    loads: dict[str, events.Load] = field(default_factory=dict)
    current: str | None = None
    paused: bool = False
    ended: events.Ended | None = None
    clock_ns: int = 0
    last_seq: int = 0
    events_folded: int = 0
    boot_ids: list[str] = field(default_factory=list)
    first_cell_ns: int = 0
    first_to_device_ns: int = 0
    _base_ns: int = 0
    _origin_ns: int | None = None

    @property
    def plan(self) -> Plan:
        return self.header.plan if self.header else Plan(cells=())

    @property
    def failed(self) -> int:
        """Cells that a user has to look at: failed, out of memory, refused, timed out, INVALID."""
        bad = ("oom", "failed", "timeout", "rejected")
        return sum(c.status in bad or c.invalid > 0 for c in self.cells.values())

    def gpu(self, device_id: str | None) -> str | None:
        """The watched device that a worker's `device_id` means: a part of a GPU has a name of its
        own kind, `MIG-` in place of `GPU-`."""
        if device_id is None:
            return None
        part = device_id.replace("GPU-", "MIG-", 1)
        return next((name for name in (device_id, part) if name in self.devices), None)

    def fold(self, event: AnyEvent) -> None:
        """Takes the next event. Events of unknown cells are ignored, never an exception."""
        self._advance(event)
        self.events_folded += 1
        self.last_seq = max(self.last_seq, event.seq)
        match event:
            case events.Header():
                self.header = event
                self.cells = {c.id: CellState(c) for c in event.plan.cells}
            case events.Segment():
                if self.boot_ids:
                    rebooted = event.boot_id != self.boot_ids[-1]
                    self._say("resumed after a reboot" if rebooted else "resumed")
                self.boot_ids.append(event.boot_id)
                self.ended = self.current = None
                self.paused = False
                if event.torn_bytes:
                    self._say(f"1 torn record dropped ({event.torn_bytes} bytes)", "warning")
            case events.Telemetry():
                self._telemetry(event)
            case events.Log():
                self._say(event.text, event.level, event.cell)
            case events.Gap():
                self.gaps.append((self.clock_ns, event))
                self._say(f"{event.producer}: {event.reason}", "warning")
            case events.Marker():
                self.markers.append((self.clock_ns, event.label))
                self._say(f"marker {event.label}".rstrip())
            case events.Control():
                if event.action in ("pause", "resume"):
                    self.paused = event.action == "pause"
                self._say(f"{event.action} ({event.who})")
            case events.Ended():
                self.ended = event
                self.current = None
                self.paused = False
            case _:
                cell = self.cells.get(event.cell)
                if cell is not None:
                    self._cell(cell, event)

    def _advance(self, event: AnyEvent) -> None:
        """Moves the session's clock; it never goes back, whichever producer is behind."""
        if isinstance(event, events.Segment) or self._origin_ns is None:
            self._base_ns = self.clock_ns
            self._origin_ns = event.t_ns
        now_ns = min(MAX_NS, self._base_ns + event.t_ns - self._origin_ns)
        self.clock_ns = max(self.clock_ns, now_ns)

    def _say(self, text: str, level: str = "info", cell: str | None = None) -> None:
        self.log.append(LogLine(self.clock_ns, text, level, cell))

    def _telemetry(self, event: events.Telemetry) -> None:
        device = self.devices.setdefault(event.device, Device())
        device.label = event.label or device.label
        device.versions |= event.versions
        for name, value in event.values.items():
            at, values = device.series.setdefault(name, (array("q"), array("d")))
            at.append(self.clock_ns)
            values.append(math.nan if value is None else value)

    def _cell(self, state: CellState, event: AnyEvent) -> None:
        match event:
            case events.CellRejected():
                state.rejected = event
                state.stage = "rejected"
                state.ended_at_ns = self.clock_ns
                self._say(f"refused: {event.reason}", "error", event.cell)
            case events.CellStarted():
                self._start(event)
            case events.Progress():
                state.progress = event
            case events.Phase():
                state.phase = event.name
                if event.name == "to_device":
                    self.first_to_device_ns = self.first_to_device_ns or self.clock_ns
            case events.Load():
                state.load = self.loads[state.cell.group] = event
                self._say(
                    f"loaded in {event.load_s:.1f} s, {event.weights} weights", cell=event.cell
                )
                for note in event.notes:
                    self._say(note, cell=event.cell)
            case events.Workload():
                state.workload = event
                state.stage = "first"
            case events.Kernels():
                state.kernels = event
            case events.Steps():
                self._steps(state, event)
            case events.Iteration():
                self._iteration(state, event)
            case events.Block():
                self._block(state, event)
            case events.Memory():
                state.memory = event
            case events.CellFinished():
                self._finish(state, event)
            case _:
                pass

    def _start(self, event: events.CellStarted) -> None:
        """A cell that is measured again starts from nothing; what it was before stays as it is."""
        state = self.cells[event.cell] = CellState(self.cells[event.cell].cell)
        self.current = event.cell
        self.first_cell_ns = self.first_cell_ns or self.clock_ns
        state.stage = "loading"
        state.worker = event.worker
        state.shares_weights = event.shares_weights
        state.started_at_ns = self.clock_ns
        if event.shares_weights:
            state.load = self.loads.get(state.cell.group)
            self._say("started, weights kept", cell=event.cell)
        else:
            self._say("started", cell=event.cell)

    def _steps(self, state: CellState, event: events.Steps) -> None:
        if event.index != state.open_index:
            state.open_index = event.index
            del state.open_gaps_ns[:]
        if event.first == len(state.open_gaps_ns):
            state.open_gaps_ns.extend(event.gaps_ns)

    def _iteration(self, state: CellState, event: events.Iteration) -> None:
        samples = state.samples
        samples.role.append(event.role)
        samples.start_ns.append(event.start_ns)
        samples.e2e_ns.append(event.e2e_ns)
        samples.ttft_ns.append(NONE_NS if event.ttft_ns is None else event.ttft_ns)
        samples.encoder_ns.append(NONE_NS if event.encoder_ns is None else event.encoder_ns)
        samples.tokens.append(event.tokens)
        if event.index == state.open_index:
            samples.gaps_ns.extend(state.open_gaps_ns)
        samples.gaps_from.append(len(samples.gaps_ns))
        state.open_index = -1
        del state.open_gaps_ns[:]
        state.lag = state.lag or event.lag
        state.invalid += event.invalid
        if event.role == "measured":
            if not state.measured_from_ns:
                state.measured_from_ns = max(0, self.clock_ns - event.e2e_ns)
            state.measured_to_ns = self.clock_ns
            state.stage = "measuring"
        else:
            state.stage = "warming"

    def _block(self, state: CellState, event: events.Block) -> None:
        state.blocks.append(event)
        if not event.kept:
            places = range(event.first, min(event.first + event.count, len(state.samples)))
            state.samples.discarded.update(places)
        why = ", ".join(event.reasons)
        verdict = "kept, since three were repeated" if event.kept else "repeated"
        self._say(f"block of {event.count} {verdict}: {why}", "warning", event.cell)

    def _finish(self, state: CellState, event: events.CellFinished) -> None:
        state.finished = event
        state.stage = "finished"
        state.ended_at_ns = self.clock_ns
        state.open_index = -1
        del state.open_gaps_ns[:]
        if self.current == event.cell:
            self.current = None
        kept = len(state.samples.kept())
        if event.status == "ok":
            self._say(f"done, {kept} iterations measured", cell=event.cell)
        else:
            place = f" at {event.phase}" if event.phase else ""
            why = f": {event.reason}" if event.reason else ""
            level = "info" if event.status in ("skipped", "cancelled") else "error"
            self._say(f"{event.status}{place}{why}", level, event.cell)


def fold_all(stream: list[AnyEvent]) -> SessionState:
    """The state after all of `stream`."""
    state = SessionState()
    for event in stream:
        state.fold(event)
    return state
