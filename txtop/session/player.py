"""Play a recorded session, and reach any position of it within milliseconds."""

from __future__ import annotations

import gc
from array import array
from bisect import bisect_right
from collections import deque
from pathlib import Path

from txtop.plan import labels
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session.alignment import align_sessions, compute_common_ns, split_position
from txtop.session.reader import LogPosition, LogReader, ReadProblems, build_empty_error
from txtop.session.transport import IDLE_NS, SPEEDS, Transport
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.state.snapshot import StateSnapshot, restore_snapshot, take_snapshot

__all__ = ["SPEEDS", "PairPlayer", "Player"]

# The reader takes whole chunks, so a limit of one byte is one chunk.
_CHUNK = 1
# A stretch with no other events is idle: nothing is measured in it, be it a pause, a load, the
# comparison of outputs, or answers to a task.
_BACKGROUND_EVENTS = (
    events.Telemetry,
    events.Log,
    events.Phase,
    events.Progress,
    events.FidelityProgress,
    events.TaskAnswers,
    events.IsolationProgress,
)


class Player(Transport):
    """A recorded session on its own clock.

    Opening reads the log once and keeps no event: for every stretch of a quarter of a megabyte it
    keeps a position in the log and a snapshot of the state. Seeking restores the snapshot before
    the target and folds the few events from there.

    `warmup_cut` is another warm-up than was recorded. Raises `SessionError` if the session cannot
    be read.
    """

    def __init__(self, path: Path, warmup_cut: int | None = None) -> None:
        super().__init__()
        self.path = path
        self._reader = LogReader(path)
        self._reader.unpack()
        self.final_state = SessionState(warmup_cut=warmup_cut)
        self.steps_ns: array[int] = array("q")
        self.idle = []
        self._snapshots: list[tuple[int, LogPosition, StateSnapshot]] = []
        # Millions of events come and go without reference cycles, so collecting is wasted time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            self._open()
        finally:
            if collecting:
                gc.enable()
        self.problems: ReadProblems = self._reader.problems
        self.duration_ns = self.final_state.clock_ns
        self.markers = self.final_state.markers
        self.boundaries = []
        for cell in self.final_state.cells.values():
            if cell.worker or cell.rejected:
                start = cell.started_at_ns if cell.worker else cell.ended_at_ns
                self.boundaries.append((start, cell.cell.id, cell.status))
        self.boundaries.sort()
        self._names = {
            name: labels.format_short_label(cell.cell)
            for name, cell in self.final_state.cells.items()
        }
        cells = [cell.cell for cell in self.final_state.cells.values()]
        self._names_apart = labels.name_apart(cells)
        self.state = SessionState()
        self._ahead: deque[AnyEvent] = deque()
        self._restore(0)
        self.show(0)

    def close(self) -> None:
        """Close the log."""
        self._reader.close()

    def cell_name(self, name: str) -> str:
        """Return the short label of the cell with that id."""
        return self._names.get(name, name)

    def name_apart(self, name: str) -> str:
        """Return what tells the cell with that id from the others."""
        return self._names_apart.get(name, name)

    @property
    def first_measured_ns(self) -> int:
        """The start of the first measured iteration; 0 without any."""
        starts = [c.measured_from_ns for c in self.final_state.cells.values() if c.samples.kept()]
        return min(starts, default=0)

    def show(self, position_ns: int) -> bool:
        """Fold up to `position_ns`, from the snapshot before it if that is nearer."""
        before = self.state
        i = bisect_right(self._snapshots, position_ns, key=lambda snapshot: snapshot[0]) - 1
        snapshot_events = self._snapshots[max(0, i)][2].plain.events_folded
        if position_ns < self.state.clock_ns or snapshot_events > self.state.events_folded:
            self._restore(max(0, i))
        folded = self.state.events_folded
        while self._fill():
            event = self._ahead[0]
            if self.state.clock_at(event) > position_ns:
                break
            fold(self.state, self._ahead.popleft())
        return self.state is not before or self.state.events_folded != folded

    def _open(self) -> None:
        reader, state, steps = self._reader, self.final_state, self.steps_ns
        busy_ns = 0
        while True:
            place = reader.place
            if place is not None:
                self._snapshots.append((state.clock_ns, place, take_snapshot(state)))
            for event in self._chunk():
                fold(state, event)
                kind = type(event)
                if kind is events.Iteration:
                    steps.append(state.clock_ns)
                if kind not in _BACKGROUND_EVENTS:
                    if state.clock_ns - busy_ns > IDLE_NS:
                        self.idle.append((busy_ns, state.clock_ns))
                    busy_ns = state.clock_ns
            if reader.at_end:
                break
        if state.header is None:
            raise build_empty_error(reader.path)

    def _restore(self, i: int) -> None:
        _, place, snapshot = self._snapshots[i]
        self.state = restore_snapshot(snapshot, self.final_state)
        self._reader.go_to(place)
        self._ahead.clear()

    def _fill(self) -> bool:
        """Return True if there is a next event, which is then the first in `_ahead`."""
        while not self._ahead and not self._reader.at_end:
            self._ahead.extend(self._chunk())
        return bool(self._ahead)

    def _chunk(self) -> list[AnyEvent]:
        """Return the events of the next chunk of the log, at its end those without a newline."""
        batch = self._reader.poll(_CHUNK)
        return self._reader.finish() if self._reader.at_end else batch


class PairPlayer(Transport):
    """Two players on one clock: every phase begins in both at once, and the faster one waits."""

    def __init__(self, left: Player, right: Player) -> None:
        super().__init__()
        self.left, self.right = left, right
        self._legs = align_sessions(left.final_state, right.final_state)
        self.duration_ns = self._legs[-1].at_ns + self._legs[-1].length_ns
        self.boundaries = [
            (compute_common_ns(self._legs, 0, at), name, status)
            for at, name, status in left.boundaries
        ]
        self.markers = sorted(
            (compute_common_ns(self._legs, side, at), label)
            for side, player in enumerate((left, right))
            for at, label in player.markers
        )
        self.steps_ns = array("q")
        for side, player in enumerate((left, right)):
            self.steps_ns.extend(compute_common_ns(self._legs, side, at) for at in player.steps_ns)
        self.steps_ns = array("q", sorted(set(self.steps_ns)))
        self.idle = []
        self.show(0)

    @property
    def state(self) -> SessionState:
        """The state of the left session."""
        return self.left.state

    def cell_name(self, name: str) -> str:
        """Return the short label of a cell of the left session."""
        return self.left.cell_name(name)

    def name_apart(self, name: str) -> str:
        """Return what tells a cell of the left session from its others."""
        return self.left.name_apart(name)

    def show(self, position_ns: int) -> bool:
        """Move both sessions to that time of the common clock."""
        left, right = split_position(self._legs, position_ns)
        changed = self.left.show(left)
        return self.right.show(right) or changed
