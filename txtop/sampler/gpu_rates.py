"""The rate at which each GPU is read: at every tick if a run uses it, else rarely."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

HOST = "host"
UNUSED_S = 5.0
"""The time between two readings of a GPU while another device is in use."""
UNASSIGNED_S = 0.8
"""The same while nothing is known to be in use.

It is idle power that is read then, and readings over 1 s apart are a hole in it.
"""
EARLY_S = 0.1
"""A reading may be this much early, or a tick that comes a little sooner would postpone it."""


class GpuRates:
    """The devices that are in use, and the times at which the others are due.

    A GPU that is the only one is in use until another device is named; a name that no device has
    changes nothing. `use` may be called from another thread than the rest.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._used: frozenset[str] = frozenset()
        self._read_at: dict[str, float] = {}

    def use(self, name: str) -> None:
        """Note that a run uses the device `name`: a UUID, or `host`.

        A worker may write `GPU-` for a part that NVML calls `MIG-`.
        """
        self._used |= {name, name.replace("GPU-", "MIG-", 1)}

    @property
    def has_only_gpus(self) -> bool:
        """True while a run uses devices of which none is the host."""
        return bool(self._used) and HOST not in self._used

    def find_due(self, names: Iterable[str]) -> dict[str, bool]:
        """Return the devices to read now, and whether each is in use; those in use come first.

        `names` are all devices there are. One that is new is due at once.
        """
        now, names = self._clock(), list(names)
        named = self._used & {HOST, *names}
        pause_s = UNUSED_S if named else UNASSIGNED_S
        if not named and len(names) == 1:
            named = frozenset(names)
        due = {name: True for name in names if name in named}
        for name in names:
            read_at = self._read_at.get(name)
            if read_at is None or now >= read_at + pause_s - EARLY_S:
                due.setdefault(name, False)
        self._read_at |= dict.fromkeys(due, now)
        return due
