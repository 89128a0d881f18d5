"""Events of a session as a whole: header, segments, controls, log lines, the end."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from txtop.plan.model_names import Family
from txtop.plan.plan import Plan
from txtop.protocol.events.base import Event, Name, Natural, Real, Text, WallS

LOG_SCHEMA = (1, 9)

ControlAction = Literal["pause", "resume", "skip", "stop", "marker"]


class Machine(msgspec.Struct, kw_only=True, frozen=True):
    """The machine as the runner finds it, without torch and NVML.

    `cores_allowed` and `memory_limit_bytes` are the parts of it that affinity and cgroups allow,
    None for all of it.
    """

    hostname: Name
    os: Name
    cpu: Name
    cores_physical: Natural
    cores_logical: Natural
    memory_bytes: Natural
    python: Name
    features: tuple[Name, ...] = ()
    memory_limit_bytes: Natural | None = None
    cores_allowed: Natural | None = None


class Expected(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """The family and memory of a cell as the runner knows them before anything is loaded.

    `memory` is the forecast in bytes: process, weights, call, allocator, and peak of the load.
    """

    family: Family | None = None
    memory: tuple[Natural, Natural, Natural, Natural, Natural] | None = None


class SessionHeader(Event, kw_only=True, tag="header"):
    """The first event of a log: the plan, and what is needed to compare or repeat the session.

    `schema` is (major, minor) of the log, `margin` that of an A/B, None for a run. `expected` is
    by cell; an older recording has none.
    """

    schema: tuple[Natural, Natural]
    session: Name
    name: Name | None = None
    wall_s: WallS
    plan: Plan
    workload_sha256: Name
    machine: Machine
    versions: dict[Name, Name]
    seed: Natural
    boot_id: Name
    margin: Real | None = None
    expected: dict[Name, Expected] | UnsetType = UNSET


class Segment(Event, kw_only=True, tag="segment"):
    """A writer opened or reopened the log. `torn_bytes` were cut off its end."""

    boot_id: Name
    wall_s: WallS
    pid: Natural
    torn_bytes: Natural = 0


class Control(Event, kw_only=True, tag="control"):
    """A user's command to the run. Its effect is another event.

    `cell` is what the screen showed as at work, where a skip came from one.
    """

    who: Name
    action: ControlAction
    label: Name = ""
    cell: Name | None = None


class Log(Event, kw_only=True, tag="log"):
    """A line of the session's log for a person.

    With `explains` it says what the explanation of `cell` is at.
    """

    text: Text
    level: Literal["info", "warning", "error"] = "info"
    cell: Name | None = None
    explains: bool = False


class Marker(Event, kw_only=True, tag="marker"):
    """A moment that the user marked, to find it in a replay."""

    label: Name = ""


class Gap(Event, kw_only=True, tag="gap"):
    """A producer was silent: its series has a hole here, not zeros."""

    producer: Name
    reason: Text


class SessionEnded(Event, kw_only=True, tag="ended"):
    """The end of a session, with the SHA-256 of the lines of its segment."""

    reason: Literal["done", "stopped", "failed"]
    wall_s: WallS
    statistics_version: Natural
    sha256: Name
