"""Closed formulas of queues, which txtop's own server is compared with."""

from __future__ import annotations


def compute_md1_wait_s(service_s: float, load: float) -> float:
    """Return the mean wait in an M/D/1 queue: load x service / (2 (1 - load)).

    This is the Pollaczek-Khinchine formula. `load` is below 1.
    """
    return load * service_s / (2 * (1 - load))
