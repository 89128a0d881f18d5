"""The sessions of the home screen as a person works on them: filtered, selected, marked."""

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
    """The listed sessions with filter, selection and marks.

    Selection and marks are kept as paths, since the list under the cursor may change. `words` is
    the text of the filter.
    """

    listed: tuple[ListedSession, ...] = ()
    words: str = ""
    marked: list[Path] = field(default_factory=list)
    _selected: Path | None = None
    _at: int = 0

    def take(self, listed: Sequence[ListedSession]) -> None:
        """Replace the sessions; the selected one stays selected, marks of missing ones go."""
        self.listed = tuple(listed)
        paths = {item.path for item in listed}
        self.marked = [path for path in self.marked if path in paths]
        self._settle()

    @property
    def matching(self) -> tuple[ListedSession, ...]:
        """Return the sessions that contain every word of the filter."""
        searched = self.words.casefold().split()
        return tuple(
            item for item in self.listed if all(w in _build_filter_text(item) for w in searched)
        )

    @property
    def at(self) -> int:
        """Return the index of the selected session among those that are visible."""
        return self._at

    @property
    def selected(self) -> ListedSession | None:
        """Return the selected session; None if none is visible."""
        visible = self.matching
        return visible[self._at] if self._at < len(visible) else None

    def move(self, by: int) -> None:
        """Select another session, not beyond the ends."""
        visible = self.matching
        self._at = min(max(0, self._at + by), max(0, len(visible) - 1))
        self._selected = visible[self._at].path if visible else None

    def find(self, text: str) -> None:
        """Filter by the words of `text`; the selected session stays selected if it matches."""
        self.words = text
        self._settle()

    def _settle(self) -> None:
        paths = [item.path for item in self.matching]
        if self._selected in paths:
            self._at = paths.index(self._selected)
        self._at = min(self._at, max(0, len(paths) - 1))

    def mark(self) -> None:
        """Toggle the mark of the selected session; a third mark replaces the first."""
        if (chosen := self.selected) is None:
            return
        if chosen.path in self.marked:
            self.marked.remove(chosen.path)
        else:
            self.marked = [*self.marked, chosen.path][-MAX_MARKED:]

    def pair(self) -> tuple[ListedSession, ListedSession] | str:
        """Return the two marked sessions as marked, or the reason why they cannot be compared."""
        by_path = {item.path: item for item in self.listed}
        marked = [by_path[path] for path in self.marked]
        if len(marked) < MAX_MARKED:
            return "mark two sessions with space first"
        unreadable = next((item for item in marked if item.stage == "unreadable"), None)
        if unreadable is not None:
            return f"{unreadable.label} cannot be read: {unreadable.models}"
        running = next((item for item in marked if item.stage == "running"), None)
        if running is not None:
            return f"{running.label} is running: it is compared when it has ended"
        return marked[0], marked[1]


def _build_filter_text(item: ListedSession) -> str:
    kind = "demo" if item.bundled else ""
    ab = "A/B" if item.is_ab else ""
    texts = (item.label, item.models, item.precisions, ab, item.stage, kind)
    return " ".join(texts).casefold()
