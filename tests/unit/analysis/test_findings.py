"""Judge facts by the rules: what holds, what stands first, and what is not advised."""

from __future__ import annotations

import msgspec
import pytest

from support.explanations import PARTS, phase, session
from txtop.analysis.explanation import build_explanation_notes, build_pieces
from txtop.analysis.finding_rules import RULES
from txtop.analysis.findings import CellFinding, find_findings, iterate_changes
from txtop.analysis.roofline import LOW_PEAK
from txtop.options.explain_options import build_try_plan
from txtop.protocol import events
from txtop.protocol.events import OperatorTime, StepPart
from txtop.state.fold import fold
from txtop.state.session import SessionState


def find(state: SessionState) -> list[CellFinding]:
    return find_findings(state, state.cells["c1"])


def rules(state: SessionState) -> list[str]:
    return [finding.rule for finding in find(state)]


def python(share: float) -> list[StepPart]:
    inside = round(1000 * (1 - share))
    return [StepPart(kind="rest", ns=1000, operators_ns=inside, calls=50)]


def test_a_cell_that_computes_all_the_time_has_no_finding() -> None:
    assert rules(session()) == []


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ("launch-bound", session(phase(parts=python(0.36)))),
        ("synchronisation", session(phase(sync_sites=["h.0.mlp"], synchronisations=2.0))),
        ("padding", session(padded_share=0.1)),
        ("cache-copies", session(
            phase(parts=[*PARTS[:2], StepPart(kind="cache", ns=60, operators_ns=50)]),
        )),
        ("dequantisation", session(phase(converted_bytes=1 << 20))),
        ("kernel", session(
            phase(operators=[OperatorTime(name="aten::bmm", kind="attention", ns=150, calls=2)]),
            attention="eager",
        )),
        ("precision", session(features=("avx512_bf16",))),
        ("threads", session(threads=1)),
        ("threads", session(threads=3)),
        ("loop", session(phase(parts=[StepPart(kind="loop", ns=100, operators_ns=90)]))),
        ("compiler", session(knobs={"compile": "default"}, graph_breaks=1)),
    ],
)  # fmt: skip
def test_a_rule_holds_from_its_threshold_on(rule: str, state: SessionState) -> None:
    assert rules(state)[:1] == [rule]


@pytest.mark.parametrize(
    "state",
    [
        session(phase(parts=python(0.34))),
        session(phase(sync_sites=["decoder"], synchronisations=2.0)),
        session(padded_share=0.09),
        session(phase(converted_bytes=(1 << 20) - 1)),
        session(phase(), attention="eager"),
        session(features=("avx512_bf16",), knobs={"precision": "bf16"}),
        session(threads=2),
        session(knobs={"compile": "default"}, cores=3),
    ],
)
def test_it_does_not_below(state: SessionState) -> None:
    assert rules(state) == []


def test_a_gpu_that_waits_is_launch_bound_and_its_waiting_is_a_piece() -> None:
    waiting = phase(busy_ns=400, launches=300.0, parts=[
        StepPart(kind="mlp", ns=600, device_ns=250),
        StepPart(kind="attention", ns=400, device_ns=150),
    ])  # fmt: skip
    state = session(waiting, device="cuda")
    (finding,) = find_findings(state, state.cells["c1"])
    assert finding.rule == "launch-bound" and finding.cost == pytest.approx(0.6)
    assert "300 launches a step" in finding.evidence
    uncounted = session(msgspec.structs.replace(waiting, launches=None), device="cuda")
    (finding,) = find_findings(uncounted, uncounted.cells["c1"])
    assert "for the launches of a step" in finding.evidence
    pieces = [(piece.kind, piece.ns) for piece in build_pieces(state, state.cells["c1"], waiting)]
    assert pieces == [("mlp", 250), ("attention", 150), ("idle", 600)]


def test_the_most_costly_finding_stands_first() -> None:
    state = session(threads=1, padded_share=0.4)
    assert rules(state) == ["padding", "threads"]
    assert rules(session(threads=1, padded_share=0.2)) == ["threads", "padding"]


def test_arms_are_the_changes_of_the_findings_each_once_and_feasible_alone() -> None:
    state = session(threads=1, features=("avx512_bf16",), padded_share=0.5)
    cell = state.cells["c1"].cell
    changes = list(iterate_changes(cell, find_findings(state, state.cells["c1"])))
    assert changes == [{"precision": "bf16"}, {"threads": 2}]
    plan = build_try_plan(state.plan, cell, [*changes, {"compile": "reduce-overhead"}], "random")
    assert plan is not None and plan.margin is not None
    assert [(arm.id, arm.precision, arm.threads) for arm in plan.cells] == [
        ("A", "fp32", None), ("B", "bf16", None), ("C", "fp32", 2),
    ]  # fmt: skip
    assert build_try_plan(state.plan, cell, [], "random") is None


def test_a_trial_says_what_the_weights_are_before_it_changes_the_output() -> None:
    state = session()
    cell = state.cells["c1"].cell

    def note(change: dict[str, object], weights: str) -> str:
        plan = build_try_plan(state.plan, cell, [change], weights)
        assert plan is not None
        return plan.note

    assert "tried with random weights: speeds are real" in note({"precision": "bf16"}, "random")
    assert note({"threads": 2}, "random").endswith("tried with random weights")
    assert note({"precision": "bf16"}, "pretrained").endswith("tried with pretrained weights")


def test_no_number_of_threads_is_advised_from_a_disturbed_measurement() -> None:
    (calm,) = find(session(threads=1))
    assert calm.changes == ({"threads": 2},) and "others used" not in calm.evidence
    disturbed = session(threads=1)
    fold(disturbed, build_busy_block())
    for state in (disturbed, session(phase(median_ns=1101), threads=1)):
        (finding,) = (one for one in find(state) if one.rule == "threads")
        assert (finding.cost, finding.changes) == (None, ())
        assert "others used the machine meanwhile" in finding.evidence
    assert "neighbour" in rules(disturbed)


def build_busy_block() -> events.DisturbedBlock:
    return events.DisturbedBlock(
        t_ns=9, cell="c1", first=0, count=3, kept=True, reasons=[],
        contention=[events.Contention(kind="waited", size=0.2)],
    )  # fmt: skip


def test_every_threshold_is_a_sentence() -> None:
    for rule in RULES:
        assert rule.threshold.startswith("Reported when ") and rule.threshold.endswith(".")


def test_notes_say_what_was_scaled_and_what_was_disturbed() -> None:
    notes = list_notes(session(phase(scale=0.8, median_ns=1500)))
    assert "multiplied by 0.80" in notes[0] and "something else used the machine" in notes[1]
    assert list_notes(session()) == []


def list_notes(state: SessionState) -> list[str]:
    return build_explanation_notes(state, state.cells["c1"], state.explanations["c1"])


def measure(state: SessionState, gap_ns: int) -> None:
    """Add an iteration of five tokens."""
    fold(state, events.TokenTimings(t_ns=8, cell="c1", index=0, first=0, gaps_ns=[gap_ns] * 5))
    fold(
        state,
        events.Iteration(
            t_ns=9, cell="c1", index=0, role="measured", start_ns=1, e2e_ns=5 * gap_ns,
            ttft_ns=gap_ns, tokens=5,
        ),
    )  # fmt: skip


def test_an_explained_step_that_is_not_the_measured_one_says_so() -> None:
    near, far = session(), session()
    measure(near, 900)
    measure(far, 3000)
    assert list_notes(near) == []
    (note,) = list_notes(far)
    assert "decode step explained took 0.00100 ms, the TPOT measured 0.00300" in note
    both = session(phase("prefill"), phase())
    measure(both, 3000)
    (note,) = list_notes(both)
    assert "the prefill explained took" in note and "; the decode step explained took" in note


def fold_peak(state: SessionState, gb_per_s: float, threads: int = 1) -> None:
    peaks = events.DevicePeaks(
        t_ns=3, device="d", source="probe", bandwidth_bytes_per_s=gb_per_s * 1e9,
        flops_per_s={}, threads=threads,
    )  # fmt: skip
    fold(state, peaks)


def list_shares(state: SessionState) -> list[float]:
    """Return the shares of the bandwidth of all steps of the first cell, without those unknown."""
    return [
        piece.bandwidth_share
        for own in state.explanations["c1"].phases
        for piece in build_pieces(state, state.cells["c1"], own)
        if piece.bandwidth_share is not None
    ]


def has_low_peak(state: SessionState) -> bool:
    return any(LOW_PEAK in note for note in list_notes(state))


@pytest.mark.parametrize(("gb_per_s", "is_disproved"), [(2.0, False), (0.5, True)])
def test_a_part_beyond_the_peak_disproves_it(gb_per_s: float, is_disproved: bool) -> None:
    state = session()
    fold_peak(state, gb_per_s)
    assert (list_shares(state) == []) is is_disproved
    assert has_low_peak(state) is is_disproved


SLOW = phase("prefill", parts=[StepPart(kind="mlp", ns=1000, read_bytes=100)])


def test_a_peak_that_one_phase_disproves_has_no_share_in_another() -> None:
    state = session(SLOW)
    fold_peak(state, 0.5)
    assert list_shares(state) == [pytest.approx(0.2)]
    state = session(SLOW, phase())
    fold_peak(state, 0.5)
    assert list_shares(state) == [] and has_low_peak(state)


@pytest.mark.parametrize(("threads", "is_disproved"), [(1, True), (2, False)])
def test_a_peak_that_one_cell_disproves_has_no_share_in_another(
    threads: int, is_disproved: bool
) -> None:
    state, other = session(SLOW), session().cells["c1"]
    for count in (1, 2):
        fold_peak(state, 0.5, count)
    assert other.load is not None
    other.load = msgspec.structs.replace(other.load, threads=threads)
    state.cells["c2"] = other
    state.explanations["c2"] = events.Explanation(t_ns=4, cell="c2", phases=[phase()])
    assert (list_shares(state) == []) is is_disproved
    assert has_low_peak(state) is is_disproved


def test_a_cell_without_counted_work_has_no_share_to_leave_out() -> None:
    state = session(phase(parts=python(0.1)))
    fold_peak(state, 0.5)
    state.cells["c2"] = state.cells["c1"]
    state.explanations["c2"] = events.Explanation(t_ns=4, cell="c2", phases=[phase()])
    assert not has_low_peak(state)


def test_every_change_of_a_rule_is_a_knob_of_the_table() -> None:
    state = session(
        phase(parts=python(0.5), converted_bytes=1 << 20), threads=1, features=("avx512_bf16",)
    )
    for finding in find_findings(state, state.cells["c1"]):
        for change in finding.changes:
            msgspec.structs.replace(state.cells["c1"].cell, **change)
