"""The knee of a sweep, from an invented session whose latencies are known."""

from __future__ import annotations

from support import load_sweep
from support.tradeoff_views import a_plan, whole
from txtop.analysis import knee
from txtop.plan.plan import Plan
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def folded(sweep: load_sweep.Sweep) -> SessionState:
    return fold_all(list(sweep.events()))


# The knee


def test_every_server_has_the_knee_that_its_latencies_make() -> None:
    knees = knee.find_knees(folded(load_sweep.Sweep(load_sweep.plan())))
    rates = {server.scenario: knee.compute_offered_rate(state) for server, state in knees.items()}
    assert rates == load_sweep.KNEES
    assert all(state.cell.server == server for server, state in knees.items())


def test_no_knee_while_a_load_is_to_come() -> None:
    plan = load_sweep.plan()
    session = folded(load_sweep.Sweep(plan, open_at=(plan.cells[-1].id, 40)))
    (server,) = knee.find_knees(session)
    assert server.scenario == "dynamic"


def test_no_knee_of_two_loads_or_where_every_load_saturates() -> None:
    plan = load_sweep.plan(["dynamic"])
    two = Plan(cells=tuple(c for c in plan.cells if load_sweep.share(c) in (None, 0.2, 0.4)))
    over = Plan(
        cells=tuple(c for c in plan.cells if load_sweep.share(c) in (None, *load_sweep.SATURATED))
    )
    for cells in (two, over):
        assert knee.find_knees(folded(load_sweep.Sweep(cells))) == {}


def test_a_cell_with_too_few_answers_is_no_knee() -> None:
    plan = load_sweep.plan(["dynamic"])
    best = next(cell for cell in plan.cells if load_sweep.share(cell) == 0.6)
    (state,) = knee.find_knees(folded(load_sweep.Sweep(plan, few=(best.id, 10)))).values()
    assert knee.compute_offered_rate(state) == 4.0


def test_whole_batches_have_no_knee() -> None:
    assert knee.find_knees(fold_all(list(whole(a_plan(batch_sizes=[1, 2, 4]))))) == {}
