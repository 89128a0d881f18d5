"""The work that a session lacks, which `resume` does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support import streams
from txtop.plan.cell import Cell
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Allowed, Plan
from txtop.plan.tuning import Tuning
from txtop.protocol import events
from txtop.state import pending_work
from txtop.state.fold import fold_all
from txtop.worker import device
from txtop.worker.failures import AbsentError, RejectedError
from txtop.worker.loading import source

PLAN = Plan(
    cells=(
        Cell(id="c001", model="/models/a"),
        Cell(id="c002", model="/models/a", precision="bf16"),
    ),
    iterations=3,
)


def _reject(cell: str, *, may_pass: bool) -> events.CellRejected:
    return events.CellRejected(t_ns=2 * 10**9, cell=cell, reason="no model", may_pass=may_pass)


@pytest.mark.fault(46)
def test_a_refusal_that_may_pass_is_missing_and_another_is_a_result() -> None:
    begun = streams.stream(PLAN)[:2]
    ends = [_reject("c001", may_pass=True), _reject("c002", may_pass=False)]
    assert pending_work.find_missing_cells(fold_all([*begun, *ends])) == {"c001"}


@pytest.mark.fault(46)
def test_a_comparison_that_failed_for_a_reason_that_may_pass_is_pending() -> None:
    made = streams.stream(PLAN)[:-1]

    def find(may_pass: bool) -> list[tuple[str, str]]:
        failed = events.Fidelity(
            t_ns=made[-1].t_ns, cell="c002", reference="c001", failed="gone", may_pass=may_pass
        )
        state = fold_all([*made, failed])
        return [(a.id, b.id) for a, b in pending_work.find_pending_comparisons(state)]

    assert find(may_pass=True) == [("c001", "c002")]
    assert find(may_pass=False) == []


def test_what_was_refused_is_nobodys_reference() -> None:
    cells = [Cell(id=f"c{n}", model="/models/a", precision=precision)
             for n, precision in enumerate(("fp8", "int4", "nf4"), start=1)]  # fmt: skip
    made = streams.stream(Plan(cells=tuple(cells), iterations=3))
    refused = [event for event in made if getattr(event, "cell", "") != "c1"]
    refused.insert(2, _reject("c1", may_pass=True))
    state = fold_all(refused)
    pairs = pending_work.find_pending_comparisons(state)
    assert [(best.id, cell.id) for best, cell in pairs] == [("c3", "c2")]


@pytest.mark.parametrize(
    ("weights", "told", "count"),
    [("auto", None, 2), ("random", None, 0), ("auto", "random", 0), ("auto", "pretrained", 1)],
)
def test_candidates_with_random_weights_are_not_compared(
    weights: str, told: str | None, count: int
) -> None:
    cells = expand_matrix(models=["gpt2"], precisions=["fp32", "bf16", "int8"], weights=[weights])
    made = streams.stream(Plan(cells=cells, tuning=Tuning(default=cells[0].id)))[:2]
    if told is not None:
        fidelity = events.Fidelity(t_ns=made[-1].t_ns, cell="c002", reference="c001")
        fidelity.weights = told  # type: ignore[assignment]
        made.append(fidelity)
    assert len(pending_work.find_pending_comparisons(fold_all(made))) == count


def _resolve(model: str) -> Callable[[], object]:
    return lambda: source.resolve_model(
        model, "pretrained", Allowed(), lambda _: None, lambda *_: None
    )


@pytest.mark.fault(46)
@pytest.mark.parametrize(
    ("act", "may_pass"),
    [
        (_resolve("./nowhere"), True),
        (_resolve("nobody/nothing"), True),
        (lambda: device.find_device("xpu"), True),
        (_resolve("a b"), False),
    ],
)
def test_what_is_absent_now_may_pass(
    act: Callable[[], object], may_pass: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(RejectedError) as refused:
        act()
    assert isinstance(refused.value, AbsentError) is may_pass
