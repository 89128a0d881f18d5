"""The energy that a device used in the turns of a block, once its readings are in."""

from __future__ import annotations

import time

from txtop.runner.worker_client import WorkerClient
from txtop.state.cell import CellState
from txtop.state.session import HOST
from txtop.stats import energy

TURN_NS = 2_200_000_000
"""The duration of a turn whose energy is read: devices average over up to a second."""
CONFIRMING_TURN_NS = 3_600_000_000
"""That of one in a confirmation, of which three make the 10 s that a stated figure takes."""
_WAIT_S = 3.0
_SERIES = ("energy_j", "power_w")


def measure_joules(
    client: WorkerClient, state: CellState, turns: list[tuple[int, int]]
) -> float | None:
    """Wait for readings from after the last of `turns`, (from, to) in ns of the session's clock.

    Return the joules of all of them; None if they were not read.
    """
    session = client.recorder.state
    name = session.gpu(state.load.device_id) if state.load is not None else None
    device = session.devices.get(name or HOST)
    if device is None or not device.series.keys() & set(_SERIES):
        return None
    until_s = time.monotonic() + _WAIT_S
    last_ns = max(to for _, to in turns)
    while time.monotonic() < until_s and not client.control.stops:
        newest = max(at[-1] for key in _SERIES if (at := device.series.get(key, ((0,), ()))[0]))
        if newest > last_ns:
            break
        client.receive(None)
    counter, power = (device.series.get(key, ((), ())) for key in _SERIES)
    parts = [energy.compute_energy(counter, power, since, to).joules for since, to in turns]
    return None if None in parts else sum(part for part in parts if part is not None)
