"""The controls of a replay: play, pause, both directions, speeds, steps and jumps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from txtop.units import NS_PER_S

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
IDLE_NS = 2 * NS_PER_S
SHORTENED_IDLE_NS = NS_PER_S


class Transport(ABC):
    """A position on a clock of its own. Subclasses give the places to stop at, and show them.

    `boundaries` are the starts of cells with their ids and statuses; `markers` and `idle` stretches
    (from, to) are in order of time; all in ns from the start.
    """

    boundaries: list[tuple[int, str, str]]
    markers: list[tuple[int, str]]
    idle: list[tuple[int, int]]
    steps_ns: array[int]
    duration_ns: int

    def __init__(self) -> None:
        self.position_ns = 0
        self.playing = True
        self.backwards = False
        self.shortened = True
        self.speed = 1.0

    @abstractmethod
    def show(self, position_ns: int) -> bool:
        """Change the state to that of `position_ns`; return True if it changed."""

    @property
    def finished(self) -> bool:
        """True if the position is at the end."""
        return self.position_ns >= self.duration_ns

    def update(self, elapsed_ns: int) -> bool:
        """Let `elapsed_ns` of real time pass; return True if the state changed."""
        if not self.playing:
            return False
        return self.seek(self._after(round(elapsed_ns * self.speed)))

    def seek(self, position_ns: int) -> bool:
        """Go to a time, within the session; return True if the state changed. An end pauses."""
        self.position_ns = min(max(0, position_ns), self.duration_ns)
        changed = self.show(self.position_ns)
        if self.position_ns == (0 if self.backwards else self.duration_ns):
            self.playing = False
        return changed

    def toggle(self) -> None:
        """Play or pause; at the end, play from the start."""
        if not self.playing and self.finished and not self.backwards:
            self.seek(0)
        elif not self.playing and self.backwards and not self.position_ns:
            self.backwards = False
        self.playing = not self.playing

    def reverse(self) -> None:
        """Play in the other direction."""
        self.backwards = not self.backwards
        self.playing = self.position_ns > 0 if self.backwards else not self.finished

    def toggle_idle(self) -> None:
        """Switch between crossing idle stretches within a second and in full."""
        self.shortened = not self.shortened

    def faster(self) -> None:
        self._change_speed(1)

    def slower(self) -> None:
        self._change_speed(-1)

    def step(self, direction: int) -> None:
        """Pause at the next or the previous iteration."""
        self.playing = False
        self._jump(self.steps_ns, direction)

    def step_cell(self, direction: int) -> None:
        """Jump to the start of the next or the previous cell."""
        self._jump([start for start, _, _ in self.boundaries], direction)

    def step_marker(self, direction: int) -> None:
        """Jump to the next or the previous marker."""
        self._jump([at for at, _ in self.markers], direction)

    def find(self, query: str) -> int | None:
        """Return the time of the first marker or cell with every word of `query`, or None."""
        terms = query.casefold().split()
        named = [*self.markers, *((at, self.cell_name(name)) for at, name, _ in self.boundaries)]
        for at, name in named:
            if terms and all(term in name.casefold() for term in terms):
                return at
        return None

    def cell_name(self, name: str) -> str:
        """Return the label of the cell with that id."""
        return name

    def name_apart(self, name: str) -> str:
        """Return what tells the cell with that id from the others."""
        return name

    def _jump(self, places_ns: Sequence[int], direction: int) -> None:
        if direction > 0:
            i = bisect_right(places_ns, self.position_ns)
            self.seek(places_ns[i] if i < len(places_ns) else self.duration_ns)
        else:
            i = bisect_left(places_ns, self.position_ns) - 1
            self.seek(places_ns[i] if i >= 0 else 0)

    def _change_speed(self, direction: int) -> None:
        i = SPEEDS.index(self.speed) + direction
        self.speed = SPEEDS[min(max(0, i), len(SPEEDS) - 1)]

    def _after(self, elapsed_ns: int) -> int:
        """Return the position after playing for `elapsed_ns`; an idle stretch takes one second."""
        at_ns, direction = self.position_ns, -1 if self.backwards else 1
        if not self.shortened:
            return at_ns + direction * elapsed_ns
        for start, end in self.idle[::direction]:
            first, last = (start, end)[::direction]
            if (last - at_ns) * direction <= 0:
                continue
            before = max(0, (first - at_ns) * direction)
            if elapsed_ns <= before:
                break
            elapsed_ns -= before
            at_ns = first if before else at_ns
            quick = (end - start) / SHORTENED_IDLE_NS
            if elapsed_ns * quick < (last - at_ns) * direction:
                return at_ns + direction * round(elapsed_ns * quick)
            elapsed_ns -= round((last - at_ns) * direction / quick)
            at_ns = last
        return at_ns + direction * elapsed_ns
