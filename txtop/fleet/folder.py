"""The folder of a fleet: one file that names its places, and a copy of each one's session."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from txtop.errors import RunError, SessionError, UsageError
from txtop.session.catalog import FLEET_NAME, check_name, get_sessions_dir
from txtop.session.reader import find_log_path
from txtop.session.writer import check_sessions_folder

if TYPE_CHECKING:
    from txtop.fleet.places import RemotePlace

FLEET_SCHEMA = 1
PLAN_NAME = "plan.toml"
# A machine that starts anew is back before.
LOST_AFTER_S = 600.0


Released = Literal["", "complete", "given up"]


class Member(msgspec.Struct, frozen=True):
    """A place of a fleet, and the name of its session: there, and of the copy here.

    `part` is what it measures of a plan that is dealt, as `--part` takes it, else empty. `wish` is
    what a held place was asked for with; once it is given back `released` says what had come.
    """

    label: str
    engine: str
    target: str
    session: str
    part: str = ""
    wish: str = ""
    released: Released = ""

    @property
    def place(self) -> RemotePlace:
        # Imported late: to read a fleet no engine is needed.
        from txtop.fleet.places import RemotePlace

        return RemotePlace(self.label, self.engine, self.target, self.wish)


class Fleet(msgspec.Struct, frozen=True):
    """The file of a fleet: its places, and txtop's command on each.

    A place that is silent for `lost_after_s` is lost.
    """

    command: list[str]
    members: list[Member]
    lost_after_s: float = LOST_AFTER_S
    schema: int = FLEET_SCHEMA


@dataclass(frozen=True)
class FleetOrder:
    """The order to a fleet: txtop's command there, a plan file, and how the plan is divided."""

    command: list[str]
    plan: bytes
    spread: bool = False
    lost_after_s: float = LOST_AFTER_S


def create_fleet(
    parent: Path | None, name: str | None, order: FleetOrder, places: Sequence[RemotePlace]
) -> Path:
    """Create the folder of a fleet, called `name`, else by the time.

    Raises:
        RunError: the folder cannot be written, or is there already.
    """
    home = (parent or get_sessions_dir()).expanduser()
    check_sessions_folder(home)
    folder = home / (check_name(name) if name else f"{datetime.now():%y%m%d-%H%M%S}")
    longest = max(len(place.label) for place in places)
    if len(folder.name) + 1 + longest > 80:
        raise UsageError(f"--name {folder.name} is too long for its places", "a shorter one")
    members = [
        Member(
            **place._asdict(),
            session=f"{folder.name}-{place.label}",
            part=f"{number}/{len(places)}" if order.spread else "",
        )
        for number, place in enumerate(places, 1)
    ]
    fleet = Fleet(command=order.command, members=members, lost_after_s=order.lost_after_s)
    try:
        folder.mkdir(mode=0o700, parents=True)
        (folder / PLAN_NAME).write_bytes(order.plan)
        _write_fleet(folder, fleet)
    except FileExistsError:
        raise RunError(
            f"a session {folder.name!r} exists already", "choose another --name"
        ) from None
    except OSError as error:
        raise RunError(
            f"cannot write {folder} ({error.strerror})", "another --session-dir"
        ) from None
    return folder


def replace_members(folder: Path, members: Iterable[Member]) -> None:
    """Write the file of a fleet anew, with these members in the place of those of their labels.

    Raises `RunError` if it cannot be written.
    """
    fleet = read_fleet(folder)
    changed = {member.label: member for member in members}
    mended = [changed.get(member.label, member) for member in fleet.members]
    try:
        _write_fleet(folder, msgspec.structs.replace(fleet, members=mended))
    except OSError as error:
        raise RunError(f"cannot write {folder} ({error.strerror})", "free some space") from None


def _write_fleet(folder: Path, fleet: Fleet) -> None:
    new = folder / f"{FLEET_NAME}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(fleet)) + b"\n")
    new.replace(folder / FLEET_NAME)


def find_fleet(name: str, parent: Path | None) -> Path | None:
    """Return the folder of the fleet `name`, an id or a path; None if it is none."""
    for folder in ((parent or get_sessions_dir()).expanduser() / name, Path(name)):
        # Unlike Path.is_file a folder that may not be entered is none.
        if os.path.isfile(folder / FLEET_NAME):
            return folder
    return None


def has_log(session: Path) -> bool:
    """Return True if a whole line of a copy came, so that it can be read."""
    log = find_log_path(session)
    try:
        return session.is_dir() and log.stat().st_size > 0
    except OSError:
        return False


def read_fleet(folder: Path) -> Fleet:
    """Read the file of a fleet. Raises `SessionError` if it is none, or of a newer txtop."""
    try:
        fleet = msgspec.json.decode((folder / FLEET_NAME).read_bytes(), type=Fleet)
    except (OSError, msgspec.MsgspecError) as error:
        raise SessionError(f"cannot read {folder / FLEET_NAME}", str(error)) from None
    if fleet.schema > FLEET_SCHEMA:
        raise SessionError(f"{folder.name} was written by a newer txtop", "update txtop")
    return fleet
