"""Events of the sampler: one sample of one device."""

from __future__ import annotations

from typing import Literal

import msgspec

from txtop.protocol.events.base import Event, Name, Natural, Real


class ForeignProcess(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """A process that is not of the run and uses a GPU, or so many `cores` of the host.

    Its owner is not recorded.
    """

    pid: Natural
    name: Name = ""
    memory_bytes: Natural | None = None
    cores: Real | None = None


ContentionKind = Literal["waited", "stolen", "others", "clock"]


class Contention(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One way in which a block had less of the processor than a machine of its own would give it.

    `size` is a share of the block's time that a thread of the worker `waited` for a processor, or
    of the processors' time that was `stolen` from the virtual machine; the cores that `others`
    used; or the share by which the `clock` fell. `processes` are the largest others, if known.
    """

    kind: ContentionKind
    size: Real
    processes: tuple[ForeignProcess, ...] = ()


class Telemetry(Event, kw_only=True, tag="telemetry"):
    """One sample of one device: `host`, or a GPU's UUID.

    A field that cannot be read is None; one that is read less often is absent. `versions` of a
    GPU's software and `facts`, its settings by name, come with its first sample. `foreign`
    processes come whenever they change, those of the host only while they disturb; None means
    unchanged.
    """

    device: Name
    label: Name = ""
    values: dict[Name, Real | None]
    versions: dict[Name, Name] = {}
    facts: dict[Name, Name] = {}
    foreign: tuple[ForeignProcess, ...] | None = None
