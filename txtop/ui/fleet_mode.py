"""The modes of a fleet: all its places, or one that was opened among them.

The copies belong to whoever opened the screen: they go on whichever mode is shown.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.ui.modes import AppMode, LiveMode, Mode, ReplayMode

if TYPE_CHECKING:
    from txtop.fleet.fleet_run import FleetCopies
    from txtop.fleet.followed import FleetFollower, FollowedPlace
    from txtop.protocol.events import AnyEvent
    from txtop.runner.control_client import RunnerStatus
    from txtop.session.follower import Follower
    from txtop.ui.models.fleet import FleetView, FleetViewBuilder
    from txtop.ui.models.view import Banner, View


class FleetMode(Mode["FleetFollower", "FleetView"]):
    """A fleet in `folder`: with `copies` while these are made, else as they are.

    One that is `attached` was started by another command.
    """

    def __init__(
        self, folder: Path, copies: FleetCopies | None = None, *, attached: bool = False
    ) -> None:
        super().__init__()
        self._folder = folder
        self._copies = copies
        self._attached = attached
        self._follower: FleetFollower | None = None
        self._builder: FleetViewBuilder | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self._folder,)

    @property
    def going(self) -> bool:
        return self._copies is not None and not self.over

    @property
    def attached(self) -> bool:
        return self._attached

    def open(self) -> FleetFollower:
        """Return the follower, which goes on where it was when a place was opened."""
        from txtop.fleet.followed import FleetFollower

        self._follower = self._follower or FleetFollower(self._folder, self._copies)
        return self._follower

    def build(self, source: FleetFollower) -> FleetView:
        from txtop.ui.models.fleet import FleetViewBuilder

        self._builder = self._builder or FleetViewBuilder()
        self.over = source.finished
        return self._builder.build(source.name, source.places, copied=self._copies is not None)

    def send(self, action: str, cell: str = "") -> None:
        """Stop every run after the step at hand, in a thread: a place may take long to answer."""
        copies = self._copies
        if action != "stop" or copies is None:
            return

        def stop() -> None:
            if any(answer.code for answer in copies.stop_runs()):
                self.refused("stop")

        threading.Thread(target=stop, name="stop", daemon=True).start()

    def open_place(self, label: str) -> AppMode | None:
        """Return the mode of one place: its log as it grows, or a replay once that is over.

        None if nothing of it can be read.
        """
        if self._follower is None:
            return None
        place = next(place for place in self._follower.places if place.label == label)
        if place.state.header is None:
            return None
        if place.state.ended is not None or place.line is None:
            return ReplayMode(place.path)
        return PlaceMode(place)


class SilentRunner:
    """The runner of another machine, which cannot be asked from here."""

    def status(self) -> RunnerStatus | None:
        return None

    def send(self, action: str, cell: str = "") -> bool:
        return False

    def tail(self, after: int) -> list[AnyEvent]:
        return []


class PlaceMode(LiveMode):
    """One place of a fleet, read from the copy of its log as that grows."""

    refusal = "another machine measures this: it is controlled there"

    def __init__(self, place: FollowedPlace) -> None:
        super().__init__(path=place.path, runner=lambda _path: SilentRunner())
        self._place = place

    @property
    def going(self) -> bool:
        """False: there is no run here that leaving the screen could stop."""
        return False

    def build(self, source: Follower) -> View:
        view = super().build(source)
        # For the keys: none of them reaches the runner.
        self.over = True
        return view

    def _banner(self) -> Banner | None:
        """Return that nothing comes any more, which the copy itself cannot tell."""
        from txtop.ui.models.fleet import format_lag
        from txtop.ui.models.view import Banner

        line = self._place.line
        if self.over or line is None or not (line.is_silent or line.copy == "given up"):
            return None
        since = f" for {format_lag(line)}" if line.is_silent else ""
        why = f" ({line.problem})" if line.problem else ""
        label = self._place.label
        return Banner(f"no data from {label}{since}{why}: this is as of the last that came")
