"""After the last cell a run says what it does and how long that will take."""

from __future__ import annotations

import pytest

from support import fit_session, streams
from support.streams import MS
from txtop.forecast.last_phase import count_pending_work, describe_last_phase, is_last_phase
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState

PLAN = Plan(
    cells=tuple(
        Cell(id=f"c{i}", model="gpt2", precision=precision, new_tokens=4)
        for i, precision in enumerate(("fp32", "bf16", "fp16", "int8"))
    ),
    iterations=3,
)


def after(*more: AnyEvent) -> SessionState:
    return fold_all([*streams.stream(PLAN)[:-1], *more])


LAST_NS = streams.stream(PLAN)[-2].t_ns


def compared(cell: str, at_ms: int, failed: str = "") -> events.Fidelity:
    return events.Fidelity(t_ns=LAST_NS + at_ms * MS, cell=cell, reference="c0", failed=failed)


def progress(cell: str, at_ms: int, done: int) -> events.FidelityProgress:
    at_ns = LAST_NS + at_ms * MS
    return events.FidelityProgress(t_ns=at_ns, cell=cell, reference="c0", done=done, total=4)


@pytest.mark.parametrize(
    ("more", "phase"),
    [
        ((), "comparing outputs 1/3"),
        # A quarter of one in 10 s: 110 s for the other two and three quarters.
        ((progress("c1", 10_000, 1),), "comparing outputs 1/3, about 2 min left"),
        # One and a half in 30 s: one and a half to go.
        ((compared("c1", 20_000), progress("c2", 30_000, 2)),
         "comparing outputs 2/3, about 30 s left"),
        # One that failed and may pass another time is not tried again in this run.
        ((compared("c1", 1_000, "gone"), compared("c2", 2_000), progress("c3", 2_990, 4)),
         "comparing outputs 3/3, about 5 s left"),
        ((compared("c1", 1), compared("c2", 2), compared("c3", 3)), "closing the session"),
    ],
)  # fmt: skip
def test_the_phase_after_the_last_cell_has_a_name_and_an_end(
    more: tuple[AnyEvent, ...], phase: str
) -> None:
    state = after(*more)
    assert is_last_phase(state)
    forms = describe_last_phase(state, count_pending_work(state))
    assert forms[0] == phase and len(forms[-1]) < len(forms[0])


def test_between_its_probes_a_search_is_not_at_its_end() -> None:
    """`closing the session` stood in the header after the first probe."""
    *made, end = fit_session.search_whole()
    state, phases = fold_all(made[:1]), list[bool]()
    for event in made[1:]:
        fold(state, event)
        if isinstance(event, events.CellFinished):
            phases.append(is_last_phase(state))
    assert isinstance(end, events.SessionEnded) and len(phases) > 2
    assert phases == [False] * (len(phases) - 1) + [True]


def test_a_run_with_a_cell_to_come_or_an_end_has_no_such_phase() -> None:
    made = streams.stream(PLAN)
    assert not is_last_phase(fold_all(made))
    assert not is_last_phase(fold_all(made[: len(made) // 2]))
    assert not is_last_phase(SessionState())
