"""A run on several machines: start it on each, and copy its logs until all have ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from txtop.errors import UsageError
from txtop.fleet.description import Description, list_differences
from txtop.fleet.engines.engine import Tell
from txtop.fleet.folder import (
    Fleet,
    FleetOrder,
    Member,
    Released,
    create_fleet,
    read_fleet,
    replace_members,
)
from txtop.fleet.log_copy import LogCopy
from txtop.fleet.places import (
    RemotePlace,
    has_to_be_held,
    hold_again,
    release_places,
    require_engines,
)
from txtop.fleet.remote import NOTHING_STARTED, PlaceReply, ask, ask_all, require_replies
from txtop.plan.plan import Plan

PLAN_ON_STDIN = ("--plan", "/dev/stdin")

NO_LONGER_HELD = "its place is held no longer"
ENDS: tuple[Released, ...] = ("complete", "given up")


def check_places(places: Sequence[RemotePlace], order: FleetOrder) -> dict[str, Description]:
    """Let each place check the plan, without running it, and return what each is, by label.

    Raises `UsageError` with the words of every place that refuses, before anything runs.
    """
    dry = ["run", *PLAN_ON_STDIN, "--dry-run", "--json", "-"]
    replies = ask_all(places, lambda place: ask(place, order.command, dry, order.plan))
    require_replies(replies, NOTHING_STARTED)
    described, silent = {}, []
    for reply in replies:
        try:
            described[reply.place.label] = msgspec.json.decode(reply.output, type=Description)
        except msgspec.MsgspecError:
            why = "its txtop does not describe its machine: update it there"
            if not reply.output:
                why = f"{reply.place.spelt} ended without a word of txtop"
            silent.append(f"{reply.place.label}: {why}")
    if silent:
        raise UsageError("; ".join(silent), NOTHING_STARTED)
    return described


def choose_dealt(
    places: tuple[RemotePlace, ...], described: Mapping[str, Description]
) -> tuple[tuple[RemotePlace, ...], Plan]:
    """Return the places that get cells of a plan that is dealt, and the whole plan.

    Raises `UsageError` if places differ in what they are, or in the plan that they made.
    """
    if differences := list_differences(described):
        raise UsageError(
            f"--spread needs identical machines. {'; '.join(differences)}",
            f"--each measures on every one; {NOTHING_STARTED}",
        )
    plans = [described[place.label].decode_plan() for place in places]
    for place, plan in zip(places, plans, strict=True):
        if plan != plans[0]:
            raise UsageError(
                f"--spread: {place.label} builds a different plan from these options than"
                f" {places[0].label}",
                f"models and prompts have to be the same on both; {NOTHING_STARTED}",
            )
    return places[: len(plans[0].groups)], plans[0]


def start_fleet(
    places: Sequence[RemotePlace],
    order: FleetOrder,
    *,
    name: str | None,
    session_dir: Path | None,
) -> Path:
    """Start the plan, or its part, on each place and return the fleet's folder.

    Raises:
        UsageError: a place refuses; what had begun elsewhere is stopped.
        RunError: the folder cannot be written.
    """
    folder = create_fleet(session_dir, name, order, places)
    members = {member.label: member for member in read_fleet(folder).members}

    def start(place: RemotePlace) -> PlaceReply:
        member = members[place.label]
        part = ["--part", member.part] if member.part else []
        run = ["run", *PLAN_ON_STDIN, *part, "--detach", "--name", member.session]
        return ask(place, order.command, run, order.plan)

    try:
        answers = ask_all(places, start)
    except BaseException:
        stop_members([*members.values()], order.command)
        raise
    if any(answer.code for answer in answers):
        begun = [members[answer.place.label] for answer in answers if not answer.code]
        if begun:
            stop_members(begun, order.command)
        require_replies(answers, "what had begun elsewhere was stopped")
    return folder


def stop_members(members: Sequence[Member], txtop: Sequence[str]) -> list[PlaceReply]:
    """Stop the runs of `members` after the step at hand, all at once."""
    sessions = {member.place: member.session for member in members}
    return ask_all(list(sessions), lambda place: ask(place, txtop, ["stop", sessions[place]]))


def resume_members(
    folder: Path, members: Sequence[Member], txtop: Sequence[str], tell: Tell
) -> list[PlaceReply]:
    """Resume the sessions of `members`, all at once, in places that are held anew where need be.

    A place that refuses is given back, unless it was held before. Raises `UsageError` if an engine
    refuses a place.
    """
    held, anew = hold_again([member.place for member in members], tell)
    try:
        mended = [
            msgspec.structs.replace(member, target=held[member.label].target, released="")
            for member in members
            if member.label in held
        ]
        replace_members(folder, mended)
        sessions = {held.get(member.label, member.place): member.session for member in members}

        def resume(place: RemotePlace) -> PlaceReply:
            return ask(place, txtop, ["resume", sessions[place], "--detach"])

        replies = ask_all(list(sessions), resume) if sessions else []
    except BaseException:
        release_places(anew)
        raise
    refused = [reply.place for reply in replies if reply.code and reply.place in anew]
    _give_back(folder, [member for member in mended if member.place in refused], "given up")
    return replies


def _give_back(folder: Path, members: Sequence[Member], released: Released) -> None:
    """Give back the places of `members` that are held, and keep in the fleet's file that they are.

    An engine that holds nothing can be asked again at any time.
    """
    held = [m for m in members if has_to_be_held(m.place) and not m.released]
    if held:
        release_places([member.place for member in held])
        replace_members(
            folder, [msgspec.structs.replace(member, released=released) for member in held]
        )


class FleetCopies:
    """The copies of all logs of a fleet, by the label of their place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fleet: Fleet = read_fleet(folder)
        self.copies = {
            member.label: LogCopy(
                folder / member.session, self._build_stream(member), self.fleet.lost_after_s
            )
            for member in self.fleet.members
        }

    def _build_stream(self, member: Member) -> Callable[[int], list[str]]:
        return lambda position: member.place.build_command(
            self.fleet.command, ["stream", member.session, "--from", str(position)]
        )

    def start(self) -> None:
        """Begin to copy, or go on; a place that was given back cannot be asked.

        Raises `UsageError` if an engine that is asked is not installed here.
        """
        require_engines(member.place for member in self.fleet.members if not member.released)
        for member in self.fleet.members:
            copy = self.copies[member.label]
            if member.released:
                is_whole = member.released == "complete"
                copy.skip(member.released, "" if is_whole else NO_LONGER_HELD)
            else:
                copy.start()

    def stop_runs(self) -> list[PlaceReply]:
        """Stop the run of every place whose log goes on."""
        running = [m for m in self.fleet.members if not self.copies[m.label].is_over]
        return stop_members(running, self.fleet.command) if running else []

    def close(self) -> None:
        """Stop copying; the runs go on. A place of which no more will come is held no longer."""
        for copy in self.copies.values():
            copy.close()
        for state in ENDS:
            own = [m for m in self.fleet.members if self.copies[m.label].state == state]
            _give_back(self.folder, own, state)
