"""Plays a recorded session: the source of a replay, with the transport of a player."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from pathlib import Path

from txtop import events
from txtop.session.read import read_all
from txtop.state import SessionState

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)


class Player:
    """A session on its own clock. Forward folds what lies between; backward folds from the start.

    Raises `SessionError` where the session cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events, self.problems = read_all(path)
        self._at_ns: list[int] = []
        self._steps_ns: list[int] = []
        self.boundaries: list[tuple[int, str, str]] = []
        whole = SessionState()
        for event in self.events:
            whole.fold(event)
            self._at_ns.append(whole.clock_ns)
            if isinstance(event, events.Iteration):
                self._steps_ns.append(whole.clock_ns)
        for cell in whole.cells.values():
            if cell.worker or cell.rejected:
                start = cell.started_at_ns if cell.worker else cell.ended_at_ns
                self.boundaries.append((start, cell.cell.id, cell.status))
        self.boundaries.sort()
        self.markers = whole.markers
        self.duration_ns = whole.clock_ns
        self.position_ns = 0
        self.playing = True
        self.speed = 1.0
        self.state = SessionState()
        self._folded = 0
        self._fold_to(0)

    @property
    def finished(self) -> bool:
        return self.position_ns >= self.duration_ns

    def update(self, elapsed_ns: int) -> bool:
        """Lets `elapsed_ns` of real time pass; True when something was folded."""
        if not self.playing:
            return False
        return self.seek(self.position_ns + round(elapsed_ns * self.speed))

    def seek(self, position_ns: int) -> bool:
        """Goes to a time of the session, both ways; beyond its end it stops there."""
        position_ns = min(max(0, position_ns), self.duration_ns)
        changed = self._fold_to(position_ns)
        self.position_ns = position_ns
        if self.finished:
            self.playing = False
        return changed

    def toggle(self) -> None:
        """Plays or pauses; at the end it starts anew."""
        if self.finished:
            self.seek(0)
        self.playing = not self.playing

    def faster(self) -> None:
        self._change_speed(1)

    def slower(self) -> None:
        self._change_speed(-1)

    def step(self, direction: int) -> None:
        """To the next or the previous iteration, and pauses."""
        self.playing = False
        self._jump(self._steps_ns, direction)

    def step_cell(self, direction: int) -> None:
        """To where the next or the previous cell starts."""
        self._jump([start for start, _, _ in self.boundaries], direction)

    def _jump(self, places_ns: list[int], direction: int) -> None:
        if direction > 0:
            i = bisect_right(places_ns, self.position_ns)
            self.seek(places_ns[i] if i < len(places_ns) else self.duration_ns)
        else:
            i = bisect_left(places_ns, self.position_ns) - 1
            self.seek(places_ns[i] if i >= 0 else 0)

    def _change_speed(self, direction: int) -> None:
        i = SPEEDS.index(self.speed) + direction
        self.speed = SPEEDS[min(max(0, i), len(SPEEDS) - 1)]

    def _fold_to(self, position_ns: int) -> bool:
        target = bisect_right(self._at_ns, position_ns)
        if target < self._folded:
            self.state = SessionState()
            self._folded = 0
        elif target == self._folded:
            return False
        for event in self.events[self._folded : target]:
            self.state.fold(event)
        self._folded = target
        return True
