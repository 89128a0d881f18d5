"""What a session amounts to so far: events folded in order, without clock and without I/O."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent, Peaks
from txtop.state import fidelity
from txtop.state import fold as cell_fold
from txtop.state.ab import Versus
from txtop.state.cell import CellState, Samples
from txtop.state.fold import INVALID


def best(known: Peaks, new: Peaks) -> Peaks:
    """The best that two workers were told or reached on one device: what else goes on beside a
    probe can only slow it."""
    flops = known.flops_per_s | new.flops_per_s
    for dtype in known.flops_per_s.keys() & new.flops_per_s.keys():
        flops[dtype] = max(known.flops_per_s[dtype], new.flops_per_s[dtype])
    bandwidth = max(known.bandwidth_bytes_per_s, new.bandwidth_bytes_per_s)
    return msgspec.structs.replace(new, bandwidth_bytes_per_s=bandwidth, flops_per_s=flops)


HOST = "host"
MAX_NS = 2**63 - 1


@dataclass
class Device:
    """The series of one watched device: session clock in ns beside values, NaN where unread."""

    label: str = ""
    series: dict[str, tuple[array[int], array[float]]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    foreign: tuple[events.Foreign, ...] = ()

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
    `warmup_cut` asks what the figures would be with that many warm-up iterations. `current` is the
    cell that was heard of last among those `working`: arms of an A/B are at work together. `peaks`
    are those of a device with so many threads.
    """

    header: events.Header | None = None
    cells: dict[str, CellState] = field(default_factory=dict)
    devices: dict[str, Device] = field(default_factory=dict)
    log: list[LogLine] = field(default_factory=list)
    markers: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[tuple[int, events.Gap]] = field(default_factory=list)
    loads: dict[str, events.Load] = field(default_factory=dict)
    peaks: dict[tuple[str, int], events.Peaks] = field(default_factory=dict)
    current: str | None = None
    working: set[str] = field(default_factory=set)
    versus: Versus | None = None
    fidelity: dict[tuple[str, str], events.Fidelity] = field(default_factory=dict)
    comparing: events.Comparing | None = None
    paused: bool = False
    ended: events.Ended | None = None
    clock_ns: int = 0
    last_seq: int = 0
    events_folded: int = 0
    boot_ids: list[str] = field(default_factory=list)
    first_cell_ns: int = 0
    first_to_device_ns: int = 0
    warmup_cut: int | None = None
    _base_ns: int = 0
    _origin_ns: int | None = None

    @property
    def plan(self) -> Plan:
        return self.header.plan if self.header else Plan(cells=())

    def output_of(self, name: str, against: str | None = None) -> events.Fidelity | None:
        """How far the output of a cell is from that of its reference, or of the arm `against`,
        whichever of the two was the reference; null where that was not measured."""
        if against is not None:
            return self.fidelity.get((name, against)) or self.fidelity.get((against, name))
        if name not in self.cells:
            return None
        mine = self.cells[name].cell
        return next(
            (
                found
                for (cell, _), found in self.fidelity.items()
                if references.same_output(self.cells[cell].cell, mine)
            ),
            None,
        )

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

    def peaks_of(self, load: events.Load) -> events.Peaks | None:
        """What the device of a load can do at most with its threads; null where nobody told."""
        return self.peaks.get((load.device_id or load.device_name, load.threads))

    def fold(self, event: AnyEvent) -> None:
        """Takes the next event. Events of unknown cells are ignored, never an exception.

        So are those of a cell that is not at work: one that is over is never changed again, and
        one that starts anew is another object, so that an older picture of it stays true.
        """
        self._advance(event)
        self.events_folded += 1
        if event.seq > self.last_seq:
            self.last_seq = event.seq
        _FOLDS[type(event)](self, event)

    def clock_at(self, event: AnyEvent) -> int:
        """What `clock_ns` will be once `event` is folded; it never goes back, whichever producer
        is behind."""
        if self._origin_ns is None or type(event) is events.Segment:
            return self.clock_ns
        now_ns = self._base_ns + event.t_ns - self._origin_ns
        if now_ns <= self.clock_ns:
            return self.clock_ns
        return now_ns if now_ns < MAX_NS else MAX_NS

    def _advance(self, event: AnyEvent) -> None:
        self.clock_ns = self.clock_at(event)
        if self._origin_ns is None or type(event) is events.Segment:
            self._base_ns = self.clock_ns
            self._origin_ns = event.t_ns

    def say(self, text: str, level: str = "info", cell: str | None = None) -> None:
        self.log.append(LogLine(self.clock_ns, text, level, cell))

    def _header(self, event: events.Header) -> None:
        self.header = event
        self.cells = {c.id: CellState(c, samples=self._samples()) for c in event.plan.cells}
        self.versus = Versus.of(event.plan)

    def _fresh(self, cell: Cell) -> CellState:
        """A cell of which nothing is known but what its output is like."""
        found = self.output_of(cell.id)
        invalid = found.invalid if found else 0
        return CellState(cell, samples=self._samples(), invalid=invalid)

    def _samples(self) -> Samples:
        return Samples(cut=self.warmup_cut)

    def _segment(self, event: events.Segment) -> None:
        if self.boot_ids:
            rebooted = event.boot_id != self.boot_ids[-1]
            self.say("resumed after a reboot" if rebooted else "resumed")
        self.boot_ids.append(event.boot_id)
        self.ended = self.current = self.comparing = None
        self.working.clear()
        self.paused = False
        if event.torn_bytes:
            self.say(f"1 torn record dropped ({event.torn_bytes} bytes)", "warning")

    def _telemetry(self, event: events.Telemetry) -> None:
        device = self.devices.get(event.device)
        if device is None:
            device = self.devices[event.device] = Device()
        if event.label:
            device.label = event.label
        if event.versions:
            device.versions = device.versions | event.versions
        if event.foreign is not None:
            device.foreign = event.foreign
        now_ns, known = self.clock_ns, device.series
        for name, value in event.values.items():
            series = known.get(name)
            if series is None:
                series = known[name] = (array("q"), array("d"))
            series[0].append(now_ns)
            series[1].append(math.nan if value is None else value)

    def _peaks(self, event: events.Peaks) -> None:
        key = event.device, event.threads
        self.peaks[key] = best(self.peaks.get(key, event), event)

    def _logged(self, event: events.Log) -> None:
        self.say(event.text, event.level, event.cell)

    def _gap(self, event: events.Gap) -> None:
        self.gaps.append((self.clock_ns, event))
        self.say(f"{event.producer}: {event.reason}", "warning")

    def _marker(self, event: events.Marker) -> None:
        self.markers.append((self.clock_ns, event.label))
        self.say(f"marker {event.label}".rstrip())

    def _control(self, event: events.Control) -> None:
        if event.action in ("pause", "resume"):
            self.paused = event.action == "pause"
        self.say(f"{event.action} ({event.who})")

    def _ended(self, event: events.Ended) -> None:
        self.ended = event
        self.current = self.comparing = None
        self.working.clear()
        self.paused = False

    def _at_work(self, event: cell_fold.OfCell) -> None:
        """What a cell at work says of itself."""
        if event.cell in self.working:
            self.current = event.cell
            cell_fold.FOLDS[type(event)](self, self.cells[event.cell], event)

    def _rejected(self, event: events.CellRejected) -> None:
        state = self._closing(event.cell)
        if state is None:
            return
        state.rejected = event
        self.withdraw(event.cell, "was refused")
        state.stage = "rejected"
        state.ended_at_ns = self.clock_ns
        self.say(f"refused: {event.reason}", "error", event.cell)

    def _closing(self, name: str) -> CellState | None:
        """The cell that ends, an object of its own if it never began; null if it was over."""
        state = self.cells.get(name)
        if state is None or state.over:
            return None
        if name not in self.working:
            state = self.cells[name] = self._fresh(state.cell)
        self.working.discard(name)
        if self.current == name:
            self.current = None
        return state

    def _start(self, event: events.CellStarted) -> None:
        """A cell that is measured again starts from nothing; what it was before stays as it is."""
        if event.cell not in self.cells:
            return
        if event.goes_on and event.cell in self.working:
            self._replaced(self.cells[event.cell], event)
            return
        state = self.cells[event.cell] = self._fresh(self.cells[event.cell].cell)
        if self.versus is None:
            self.working.clear()
        elif state.cell == self.versus.first:
            self.versus = Versus.of(self.plan)
            for name, each in self.cells.items():
                if each.invalid and name != event.cell:
                    self.withdraw(name, INVALID)
        self.working.add(event.cell)
        self.current = event.cell
        self.comparing = None
        self.first_cell_ns = self.first_cell_ns or self.clock_ns
        state.stage = "loading"
        state.worker = event.worker
        state.shares_weights = event.shares_weights
        state.started_at_ns = self.clock_ns
        if event.shares_weights:
            state.load = self.loads.get(state.cell.group)
            self.say("started, weights kept", cell=event.cell)
        else:
            self.say("started", cell=event.cell)

    def _replaced(self, state: CellState, event: events.CellStarted) -> None:
        """A fresh worker goes on in the place of one that died; the open iteration is lost."""
        self.current = event.cell
        state.worker, state.stage = event.worker, "loading"
        state.open_index = -1
        del state.open_gaps_ns[:]
        self.say("a fresh worker is loaded", "warning", event.cell)

    def _round(self, event: events.Round) -> None:
        """A block of an A/B; the iterations of one that does not count are no sample either."""
        if self.versus is None or not event.iterations.keys() <= self.cells.keys():
            return
        times: dict[str, list[float]] = {}
        for name, places in event.iterations.items():
            samples = self.cells[name].samples
            known = [i for i in places if i < len(samples)]
            if not event.kept:
                samples.discarded.update(known)
            work = self.cells[name].cell.batch_size
            times[name] = [samples.e2e_ns[i] / (work * (samples.tokens[i] or 1)) for i in known]
        said = self.versus.add(event, times)
        if said:
            self.say(said, "info" if event.kept else "warning")

    def _comparing(self, event: events.Comparing) -> None:
        if {event.cell, event.reference} <= self.cells.keys():
            self.comparing = event

    def _fidelity(self, event: events.Fidelity) -> None:
        if not {event.cell, event.reference} <= self.cells.keys():
            return
        self.comparing = None
        self.fidelity[event.cell, event.reference] = event
        of = self.cells[event.reference].cell.precision
        self.say(f"output against {of}: {fidelity.forms(event)[0]}", cell=event.cell)
        if not event.invalid:
            return
        self.withdraw(event.cell, INVALID)
        mine = self.cells[event.cell].cell
        for name, each in self.cells.items():
            if references.same_output(each.cell, mine):
                self.cells[name] = replace(each, invalid=each.invalid + event.invalid)

    def withdraw(self, name: str, why: str) -> None:
        if self.versus is not None and name in self.cells:
            self.versus.withdraw(name, why)

    def _finish(self, event: events.CellFinished) -> None:
        state = self._closing(event.cell)
        if state is None:
            return
        state.finished = event
        if event.status in ("oom", "failed", "timeout"):
            self.withdraw(event.cell, event.status)
        state.stage = "finished"
        state.ended_at_ns = self.clock_ns
        state.open_index = -1
        del state.open_gaps_ns[:]
        kept = len(state.samples.kept())
        if event.status == "ok":
            what = "iterations measured" if state.cell.serving is None else "requests answered"
            self.say(f"done, {kept} {what}", cell=event.cell)
        else:
            place = f" at {event.phase}" if event.phase else ""
            why = f": {event.reason}" if event.reason else ""
            level = "info" if event.status in ("skipped", "cancelled") else "error"
            self.say(f"{event.status}{place}{why}", level, event.cell)


_FOLDS: dict[type[Any], Callable[[SessionState, Any], None]] = {
    **dict.fromkeys(cell_fold.FOLDS, SessionState._at_work),
    events.Header: SessionState._header,
    events.Segment: SessionState._segment,
    events.Telemetry: SessionState._telemetry,
    events.Peaks: SessionState._peaks,
    events.Log: SessionState._logged,
    events.Gap: SessionState._gap,
    events.Marker: SessionState._marker,
    events.Control: SessionState._control,
    events.Ended: SessionState._ended,
    events.CellStarted: SessionState._start,
    events.CellRejected: SessionState._rejected,
    events.CellFinished: SessionState._finish,
    events.Round: SessionState._round,
    events.Comparing: SessionState._comparing,
    events.Fidelity: SessionState._fidelity,
}


def fold_all(stream: list[AnyEvent], warmup_cut: int | None = None) -> SessionState:
    """The state after all of `stream`."""
    state = SessionState(warmup_cut=warmup_cut)
    for event in stream:
        state.fold(event)
    return state


_PROCESS = "process:"


def gpus_of(session: SessionState) -> list[tuple[str, Device]]:
    """The GPUs among the watched devices, in the order in which they were first seen."""
    return [
        (name, device)
        for name, device in session.devices.items()
        if name != HOST and not name.startswith(_PROCESS)
    ]
