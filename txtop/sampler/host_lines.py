"""The lines of the host: of all its readings, or of those that matter to the cells of GPUs.

The host is read at every tick. Lines of a calm one are of use to a run only while the CPU computes
or its idle power is read; a cell of a GPU is judged by what the launching thread had to wait, by
stolen time and by paging.
"""

from __future__ import annotations

import time
from statistics import fmean

from txtop.protocol.events import Telemetry
from txtop.sampler.contention import NAMED_FROM_WAITED_PERCENT
from txtop.sampler.gpu_rates import HOST, GpuRates
from txtop.sampler.host import Host

WAITED = "waited_percent"
CALM_RISES = {"steal_s": 0.015, "swapped_in_bytes": 1.0}
"""The rise between two ticks from which one is not calm: two of the kernel's, and a page."""


class HostLines:
    """The lines of the host.

    While a run uses GPUs alone, those of calm ticks are held back until one is due. If a tick is
    not calm, all that are held are written before it, without what only a whole reading has, and
    the next one after it: around a disturbance the readings are as dense as ever.
    """

    def __init__(self, host: Host, rates: GpuRates) -> None:
        self._host = host
        self._rates = rates
        self._held: list[Telemetry] = []
        self._before: dict[str, float | None] = {}
        self._was_calm = False

    def read(self, *, due: bool) -> list[Telemetry]:
        """Read the host and return its lines; if one is `due`, with the slow values."""
        host, t_ns = self._host, time.monotonic_ns()
        values = host.read_disturbances()
        names = host.read_names(values)
        calm = self._rates.has_only_gpus and _is_calm(self._before, values)
        skipped = calm and self._was_calm and not due and names is None
        self._before, self._was_calm = values, calm
        if skipped:
            self._held.append(Telemetry(t_ns=t_ns, device=HOST, label=host.label, values=values))
            return []
        held, self._held = self._held, []
        if calm:
            waited = [line.values[WAITED] or 0.0 for line in held] + [values[WAITED] or 0.0]
            values, held = values | {WAITED: round(fmean(waited), 1)}, []
        values = values | host.values() | (host.slow_values() if due else {})
        line = Telemetry(t_ns=t_ns, device=HOST, label=host.label, values=values, foreign=names)
        return [*held, line]


def _is_calm(before: dict[str, float | None], now: dict[str, float | None]) -> bool:
    """Return whether nothing of `now` could be part of what spoils a block of a GPU's cell.

    Where the kernel does not count what threads wait, nothing is known to be calm.
    """
    waited = now[WAITED]
    return (
        waited is not None
        and waited < NAMED_FROM_WAITED_PERCENT
        and not any(
            (now[name] or 0.0) - (before.get(name) or 0.0) >= rise
            for name, rise in CALM_RISES.items()
        )
    )
