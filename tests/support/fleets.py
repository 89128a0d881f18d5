"""Fleets for the screen: recordings as the copies of places, whose lines are made up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from txtop import resources
from txtop.fleet.fleet_run import FleetCopies
from txtop.fleet.folder import FleetOrder, create_fleet
from txtop.fleet.log_copy import CopyState
from txtop.fleet.places import RemotePlace

RECORDED = resources.find_directory("sessions")


@dataclass
class FakeCopy:
    """The copy of a log, as it would be at one moment."""

    state: CopyState = "copying"
    silent_s: float = 0.2
    is_lagging: bool = False
    problem: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in ("complete", "given up")


@dataclass
class FakeCopies:
    """The copies of a fleet; runs are not stopped, only counted."""

    copies: dict[str, FakeCopy]
    stopped: list[bool] = field(default_factory=list)

    def stop_runs(self) -> list[Any]:
        self.stopped.append(True)
        return []

    def cast(self) -> FleetCopies:
        return cast(FleetCopies, self)


def write_fleet(parent: Path, name: str, shares: dict[str, float], recording: str) -> Path:
    """Write a fleet whose copies hold the first share of a recording, by label; 0 for no copy."""
    places = [RemotePlace(label, "ssh", label) for label in shares]
    folder = create_fleet(parent, name, FleetOrder(["txtop"], b""), places)
    lines = (RECORDED / f"{recording}.jsonl").read_bytes().splitlines(keepends=True)
    for label, share in shares.items():
        if share:
            copy = folder / f"{name}-{label}"
            copy.mkdir()
            (copy / "events.jsonl").write_bytes(b"".join(lines[: round(share * len(lines))]))
    return folder
