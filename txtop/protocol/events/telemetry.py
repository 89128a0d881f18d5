"""Events of the sampler: one sample of one device."""

from __future__ import annotations

import msgspec

from txtop.protocol.events.base import Event, Name, Natural, Real


class ForeignProcess(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A process that uses a GPU and is not of the run. Its owner is not recorded."""

    pid: Natural
    name: Name = ""
    memory_bytes: Natural | None = None


class Telemetry(Event, kw_only=True, tag="telemetry"):
    """One sample of one device: `host`, or a GPU's UUID.

    A field that cannot be read is None; one that is read less often is absent. `versions` of a
    GPU's software and `facts`, its settings by name, come with its first sample. `foreign`
    processes come whenever they change; None means unchanged.
    """

    device: Name
    label: Name = ""
    values: dict[Name, Real | None]
    versions: dict[Name, Name] = {}
    facts: dict[Name, Name] = {}
    foreign: tuple[ForeignProcess, ...] | None = None
