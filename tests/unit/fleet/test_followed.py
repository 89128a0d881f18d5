"""A fleet as it is read from its copies."""

from __future__ import annotations

from pathlib import Path

from support.fleets import FakeCopies, FakeCopy, write_fleet
from txtop.fleet.followed import KEPT_READINGS, FleetFollower


def test_places_are_read_as_their_copies_grow(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 0.2, "c": 0}, "gpt2-precisions")
    fleet = FleetFollower(folder)
    assert fleet.update() and not fleet.update()
    a, b, c = fleet.places
    assert a.is_over and not b.is_over and not c.is_over and not fleet.finished
    assert a.state.ended is not None and b.state.header is not None and c.state.header is None
    whole = (folder / "f-a" / "events.jsonl").read_bytes()
    (folder / "f-b" / "events.jsonl").write_bytes(whole)
    assert fleet.update() and b.is_over


def test_of_telemetry_only_the_last_readings_are_kept(tmp_path: Path) -> None:
    fleet = FleetFollower(write_fleet(tmp_path, "f", {"a": 1.0}, "gpt2-precisions"))
    fleet.update()
    series = fleet.places[0].state.devices["host"].series
    assert series and all(len(at) == len(v) <= 2 * KEPT_READINGS for at, v in series.values())
    assert fleet.places[0].state.devices["host"].last("cpu_percent") is not None


def test_a_copy_that_cannot_be_read_spoils_no_other(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, "gpt2-precisions")
    (folder / "f-a" / "events.jsonl").write_text("nonsense\n")
    fleet = FleetFollower(folder)
    assert fleet.update() and not fleet.update()
    assert "f-a" in fleet.places[0].problem or fleet.places[0].problem
    assert fleet.places[1].is_over


def test_a_line_is_that_of_the_copy(tmp_path: Path) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, "gpt2-precisions")
    lost = FakeCopy("given up", 700.0, problem="lost")
    fleet = FleetFollower(folder, FakeCopies({"a": FakeCopy(), "b": lost}).cast())
    lines = [place.line for place in fleet.places]
    assert lines[0] is not None and lines[0].copy == "copying" and not fleet.places[0].is_over
    assert lines[1] is not None and lines[1].problem == "lost" and fleet.places[1].is_over
