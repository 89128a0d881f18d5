"""The sessions of the home screen as a person works on them: found, selected, marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from txtop.ui.models.home import ListedSession

MAX_MARKED = 2


@dataclass
class SessionList:
    """Sessions are told by their paths: the list under the cursor may change."""

    listed: tuple[ListedSession, ...] = ()
    words: str = ""
    marked: list[Path] = field(default_factory=list)
    _selected: Path | None = None
    _at: int = 0

    def take(self, listed: Sequence[ListedSession]) -> None:
        """Replaces what there is; the selected session stays selected, marks of lost ones go."""
        self.listed = tuple(listed)
        paths = {item.path for item in listed}
        self.marked = [path for path in self.marked if path in paths]
        self._settle()

    @property
    def shown(self) -> tuple[ListedSession, ...]:
        """Those that have every word that was asked for."""
        wanted = self.words.casefold().split()
        return tuple(
            item for item in self.listed if all(w in _build_filter_text(item) for w in wanted)
        )

    @property
    def at(self) -> int:
        """The place of the selected one."""
        return self._at

    @property
    def selected(self) -> ListedSession | None:
        shown = self.shown
        return shown[self._at] if self._at < len(shown) else None

    def move(self, by: int) -> None:
        """Selects another, not beyond the ends."""
        shown = self.shown
        self._at = min(max(0, self._at + by), max(0, len(shown) - 1))
        self._selected = shown[self._at].path if shown else None

    def find(self, words: str) -> None:
        """Shows those that have these words, among them the selected one if it has."""
        self.words = words
        self._settle()

    def _settle(self) -> None:
        paths = [item.path for item in self.shown]
        if self._selected in paths:
            self._at = paths.index(self._selected)
        self._at = min(self._at, max(0, len(paths) - 1))

    def mark(self) -> None:
        """Marks the selected session, or no longer; a third takes the place of the first."""
        if (chosen := self.selected) is None:
            return
        if chosen.path in self.marked:
            self.marked.remove(chosen.path)
        else:
            self.marked = [*self.marked, chosen.path][-MAX_MARKED:]

    def pair(self) -> tuple[ListedSession, ListedSession] | str:
        """The two marked ones in the order of their marks, or why they cannot be compared."""
        by_path = {item.path: item for item in self.listed}
        found = [by_path[path] for path in self.marked]
        if len(found) < MAX_MARKED:
            return "mark two sessions with space, then press c to compare"
        running = next((item for item in found if item.stage == "running"), None)
        if running is not None:
            return f"{running.label} is running: it is compared when it has ended"
        return found[0], found[1]


def _build_filter_text(item: ListedSession) -> str:
    kind = "demo" if item.bundled else ""
    words = (item.label, item.models, item.precisions, item.stage, kind)
    return " ".join(words).casefold()
