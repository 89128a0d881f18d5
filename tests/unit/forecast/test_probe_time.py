"""The time of a probe, from those before it."""

from __future__ import annotations

from statistics import fmean

import pytest

from support import fit_session
from txtop.forecast.probe_time import estimate_probe_s
from txtop.state.fold import fold_all
from txtop.units import NS_PER_S


def test_a_probe_takes_as_long_as_the_calls_of_the_nearest_one_and_its_load() -> None:
    state = fold_all(fit_session.search_whole(probes=3, running=True))
    *before, own = state.cells.values()
    near = min(
        (other for other in before if other.status == "ok"),
        key=lambda other: abs(other.cell.batch_size - own.cell.batch_size),
    )
    assert near.load is not None
    own.shares_weights = True
    calls_s = estimate_probe_s(state, own)
    call_s = fmean(near.samples.e2e_ns) / NS_PER_S * own.cell.batch_size / near.cell.batch_size
    assert calls_s == pytest.approx((1 + 1 + 3) * call_s)
    own.shares_weights = False
    assert estimate_probe_s(state, own) == pytest.approx(calls_s + near.load.load_s)


def test_nothing_is_known_of_the_first_probe_and_of_cells_that_are_none() -> None:
    state = fold_all(fit_session.search_whole(probes=1, running=True))
    (own,) = state.cells.values()
    assert estimate_probe_s(state, own) is None
