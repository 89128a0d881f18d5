"""What a replay can be asked for: play, pause, both ways, speeds, steps and places."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
IDLE_NS = 2_000_000_000
SHORTENED_IDLE_NS = 1_000_000_000


class Transport(ABC):
    """A position on a clock of its own. Subclasses give the places, and show what is there.

    `boundaries` are the starts of cells with their ids and statuses; `markers` and `idle` (from,
    to) are in time's order; all in ns from the start.
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
        """Makes the state that of `position_ns`; True when it changed."""

    @property
    def finished(self) -> bool:
        return self.position_ns >= self.duration_ns

    def update(self, elapsed_ns: int) -> bool:
        """Lets `elapsed_ns` of real time pass; True when what is shown has changed."""
        if not self.playing:
            return False
        return self.seek(self._after(round(elapsed_ns * self.speed)))

    def seek(self, position_ns: int) -> bool:
        """Goes to a time, both ways; beyond an end it stops there."""
        self.position_ns = min(max(0, position_ns), self.duration_ns)
        changed = self.show(self.position_ns)
        if self.position_ns == (0 if self.backwards else self.duration_ns):
            self.playing = False
        return changed

    def toggle(self) -> None:
        """Plays or pauses; at the end it starts anew."""
        if not self.playing and self.finished and not self.backwards:
            self.seek(0)
        elif not self.playing and self.backwards and not self.position_ns:
            self.backwards = False
        self.playing = not self.playing

    def reverse(self) -> None:
        """Plays the other way."""
        self.backwards = not self.backwards
        self.playing = self.position_ns > 0 if self.backwards else not self.finished

    def toggle_idle(self) -> None:
        """Crosses stretches in which nothing happens within a second, or in full."""
        self.shortened = not self.shortened

    def faster(self) -> None:
        self._change_speed(1)

    def slower(self) -> None:
        self._change_speed(-1)

    def step(self, direction: int) -> None:
        """To the next or the previous iteration, and pauses."""
        self.playing = False
        self._jump(self.steps_ns, direction)

    def step_cell(self, direction: int) -> None:
        """To where the next or the previous cell starts."""
        self._jump([start for start, _, _ in self.boundaries], direction)

    def step_marker(self, direction: int) -> None:
        """To the next or the previous marker."""
        self._jump([at for at, _ in self.markers], direction)

    def find(self, wanted: str) -> int | None:
        """The time of the first marker or cell that has all the words of `wanted`."""
        words = wanted.casefold().split()
        named = [*self.markers, *((at, self.cell_name(name)) for at, name, _ in self.boundaries)]
        for at, name in named:
            if words and all(word in name.casefold() for word in words):
                return at
        return None

    def cell_name(self, name: str) -> str:
        """What a person calls the cell of that id."""
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
        """Where playing comes to; an idle stretch takes as if it were a second long."""
        at_ns, way = self.position_ns, -1 if self.backwards else 1
        if not self.shortened:
            return at_ns + way * elapsed_ns
        for start, end in self.idle[::way]:
            first, last = (start, end)[::way]
            if (last - at_ns) * way <= 0:
                continue
            before = max(0, (first - at_ns) * way)
            if elapsed_ns <= before:
                break
            elapsed_ns -= before
            at_ns = first if before else at_ns
            quick = (end - start) / SHORTENED_IDLE_NS
            if elapsed_ns * quick < (last - at_ns) * way:
                return at_ns + way * round(elapsed_ns * quick)
            elapsed_ns -= round((last - at_ns) * way / quick)
            at_ns = last
        return at_ns + way * elapsed_ns
