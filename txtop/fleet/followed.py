"""A fleet as it is read from its copies: the state of each place, and the line to it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from txtop.errors import SessionError
from txtop.fleet.fleet_run import FleetCopies
from txtop.fleet.folder import read_fleet
from txtop.fleet.log_copy import CopyState, LogCopy
from txtop.protocol.events import AnyEvent, TokenTimings
from txtop.session.follower import Follower
from txtop.state.session import SessionState

# Rates are made of whole iterations: single tokens are a third of what a place sends.
KINDS = tuple(kind for kind in get_args(AnyEvent) if kind is not TokenTimings)
# The newest readings of each series: places send them for hours, and only the last is looked at.
KEPT_READINGS = 64


@dataclass(frozen=True)
class PlaceLine:
    """The line to a place: what its copy does, since when nothing came, and if that is too long."""

    copy: CopyState
    silent_s: float
    is_silent: bool
    problem: str = ""


class FollowedPlace:
    """One place: its state, read from its copy as that grows.

    It has a line while something is copied from it. A copy that cannot be read is a `problem`, and
    is not read any further. Single tokens are left out, and of telemetry all but the last readings.
    """

    def __init__(self, label: str, path: Path, copy: LogCopy | None = None) -> None:
        self.label = label
        self.path = path
        self.problem = ""
        self._copy = copy
        self._follower = Follower(path, only=KINDS)

    @property
    def state(self) -> SessionState:
        return self._follower.state

    @property
    def line(self) -> PlaceLine | None:
        copy = self._copy
        if copy is None:
            return None
        return PlaceLine(copy.state, copy.silent_s, copy.is_lagging, copy.problem)

    @property
    def is_over(self) -> bool:
        """True if nothing more comes from here."""
        return self._follower.finished if self._copy is None else self._copy.is_over

    def update(self) -> bool:
        """Read what is new. Return True if anything was."""
        if self.problem:
            return False
        try:
            changed = self._follower.update()
        except SessionError as error:
            self.problem = str(error)
            return True
        if changed:
            forget_readings(self.state)
        return changed


def forget_readings(state: SessionState) -> None:
    """Forget all but the last readings of each series, once there are twice as many."""
    for device in state.devices.values():
        for column in (column for series in device.series.values() for column in series):
            if len(column) > 2 * KEPT_READINGS:
                del column[:-KEPT_READINGS]


class FleetFollower:
    """All places of a fleet, read from its folder; with `copies` while these are made."""

    def __init__(self, folder: Path, copies: FleetCopies | None = None) -> None:
        self.name = folder.name
        self._guard = threading.Lock()
        made = {} if copies is None else copies.copies
        self.places = [
            FollowedPlace(member.label, folder / member.session, made.get(member.label))
            for member in read_fleet(folder).members
        ]

    @property
    def finished(self) -> bool:
        """True if nothing more comes from any place."""
        return all(place.is_over for place in self.places)

    def update(self, elapsed_ns: int = 0) -> bool:
        """Read what is new of every place. Return True if anything was."""
        # A screen that comes back has a thread of its own, while the one before may still read.
        with self._guard:
            changed = [place.update() for place in self.places]
        return any(changed)
