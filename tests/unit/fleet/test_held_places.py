"""Places that an engine holds: given back when no more will come, and held anew to resume."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.waiting import wait_until
from txtop.errors import UsageError
from txtop.fleet import places as places_module
from txtop.fleet.engines import ray as ray_engine
from txtop.fleet.engines.engine import Engine
from txtop.fleet.engines.ray import RAY, Holder, count_places, parse_wishes
from txtop.fleet.engines.slurm import SLURM
from txtop.fleet.fleet_run import FleetCopies, resume_members
from txtop.fleet.folder import FleetOrder, create_fleet, read_fleet
from txtop.fleet.places import RemotePlace, hold_again, hold_places, parse_places

LOST = RemotePlace("lost", "slurm", "1@n1", "-c 2")
KEPT = RemotePlace("kept", "slurm", "2@n2", "-c 2")
FREE = RemotePlace("free", "exec", "env")


def get_node(wish: str) -> str:
    return wish.partition("--nodelist=")[2]


class PretendEngine:
    """An engine of which every command ends with `code`, and which keeps what it was asked."""

    def __init__(self, *held: str, room: int = 9, code: int = 0) -> None:
        self.held, self.room, self.code = list(held), room, code
        self.asked: list[list[str]] = []
        self.released: list[str] = []

    def hold(self, wishes: list[str], tell: object) -> list[list[str]]:
        self.asked.append(wishes)
        return [[f"new{number}@{get_node(wish)}" for number in range(self.room)] for wish in wishes]

    def build_engine(self) -> Engine:
        return Engine(
            lambda target, command: ["sh", "-c", f"exit {self.code}"],
            hold=self.hold,
            release=self.released.extend,
            list_held=lambda targets: [name for name in targets if name in self.held],
            pin=SLURM.pin,
        )


def use(engine: PretendEngine, monkeypatch: pytest.MonkeyPatch) -> PretendEngine:
    monkeypatch.setitem(places_module.ENGINES, "slurm", engine.build_engine())
    return engine


def test_what_is_held_no_longer_is_held_anew_on_its_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = use(PretendEngine("2@n2", room=2), monkeypatch)
    held, anew = hold_again([LOST, KEPT, FREE], print)
    assert engine.asked == [["-c 2 --nodelist=n1"]] and engine.released == ["new1@n1"]
    assert held == {"kept": KEPT, "lost": LOST._replace(target="new0@n1")}
    assert anew == [held["lost"]]


def test_all_places_are_asked_for_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use(PretendEngine(room=2), monkeypatch)
    second = LOST._replace(label="second")
    held, anew = hold_again([LOST, KEPT, second], print)
    assert engine.asked == [["-c 2 --nodelist=n1", "-c 2 --nodelist=n2"]]
    assert {label: place.target for label, place in held.items()} == {
        "lost": "new0@n1",
        "second": "new1@n1",
        "kept": "new0@n2",
    }
    assert engine.released == ["new1@n2"] and len(anew) == 3


def test_too_few_places_are_given_back_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = use(PretendEngine(room=1), monkeypatch)
    with pytest.raises(UsageError, match="no room for second"):
        hold_again([LOST, LOST._replace(label="second")], print)
    assert engine.released == ["new0@n1"]


def test_a_ray_place_is_asked_for_on_its_node() -> None:
    assert RAY.pin is not None
    wish = RAY.pin("//head:10001 num_gpus=1", "ray://head:10001 txtop-1 10.0.0.7/6f3a1b2c")
    address, wishes = parse_wishes(wish.split())
    assert address == "ray://head:10001" and wishes == {"GPU": 1, "node:10.0.0.7": 0.001}
    assert count_places(wishes, {"GPU": 4, "node:10.0.0.7": 1}) == 4
    assert count_places(wishes, {"GPU": 4, "node:10.0.0.8": 1}) == 0


@pytest.mark.parametrize(("code", "state"), [(0, "complete"), (4, "given up"), (255, "closed")])
def test_a_place_of_which_no_more_will_come_is_given_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, state: str
) -> None:
    engine = use(PretendEngine("1@n1", code=code), monkeypatch)
    folder = create_fleet(tmp_path, "f", FleetOrder(["txtop"], b""), [LOST])
    copies = FleetCopies(folder)
    copies.start()
    lost = copies.copies["lost"]
    wait_until(lambda: lost.is_over or lost.breaks)
    copies.close()
    assert copies.copies["lost"].state == state
    assert engine.released == ([] if state == "closed" else ["1@n1"])
    (member,) = read_fleet(folder).members
    assert member.released == ("" if state == "closed" else state)
    if state != "closed":
        again = FleetCopies(folder)
        again.start()
        again.close()
        assert again.copies["lost"].state == state and engine.released == ["1@n1"]


def test_a_place_that_refuses_to_resume_is_given_back_if_it_was_held_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(PretendEngine("2@n2", room=1, code=4), monkeypatch)
    folder = create_fleet(tmp_path, "f", FleetOrder(["txtop"], b""), [LOST, KEPT])
    replies = resume_members(folder, read_fleet(folder).members, ["txtop"], print)
    assert [reply.code for reply in replies] == [4, 4] and engine.released == ["new0@n1"]
    lost, kept = read_fleet(folder).members
    assert (lost.released, kept.released) == ("given up", "")
    assert (lost.target, kept.target) == ("new0@n1", "2@n2")


def test_the_holder_of_a_ray_place_ends_what_nobody_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holder = Holder()
    first, problem = holder.open(["sleep", "60"], b"")
    assert not problem
    process = holder._running[first][0]
    monkeypatch.setattr(ray_engine, "FORGOTTEN_S", 0.0)
    second, _ = holder.open(["true"], b"")
    assert process.returncode == -9 and first not in holder._running
    assert holder.read(first) == (b"the command was ended: nobody had read for a while", 1)
    assert holder.read(second) == (b"", 0)


def test_shares_of_a_resource_are_counted_without_rounding() -> None:
    assert count_places({"disk": 0.1}, {"disk": 1.0}) == 10
    assert count_places({"disk": 0.3}, {"disk": 1.0}) == 3


def test_without_ray_its_places_are_refused_and_stay_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ray_engine, "find_spec", lambda name: None)
    place = RemotePlace("p", "ray", "auto txtop-1 10.0.0.7/6f3a1b2c", "ray")
    folder = create_fleet(tmp_path, "f", FleetOrder(["txtop"], b""), [place])
    copies = FleetCopies(folder)
    for refused in (
        lambda: hold_places(parse_places(["ray"]), print),
        lambda: hold_again([place], print),
        copies.start,
    ):
        with pytest.raises(
            UsageError, match=r"Ray is not installed here: pip install 'txtop\[ray\]'"
        ):
            refused()
    copies.close()
    assert read_fleet(folder).members[0].released == ""
