"""An A/B in the fold, in plain text and in the export."""

from __future__ import annotations

import csv
import io
import json
import math
from statistics import fmean, stdev

import msgspec
import pytest
from scipy.stats import t

from support.ab_sessions import Script, script
from txtop.analysis.ab_notes import ONE_START
from txtop.analysis.compare import compare_cell
from txtop.analysis.metrics import FinalMetrics
from txtop.cli.exit_code import choose_exit_code
from txtop.export.formats import WRITERS
from txtop.export.json import to_json
from txtop.export.text import table
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.state.ab import ABTest
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.state.snapshot import restore_snapshot, take_snapshot
from txtop.stats.intervals import compute_anytime_t_half_width
from txtop.stats.sequential import ConfidenceSequence
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.hero_metrics import explain_no_interval


def folded(stream: list[AnyEvent]) -> tuple[SessionState, ABTest]:
    state = fold_all(stream)
    assert state.ab_test is not None
    return state, state.ab_test


def exported(state: SessionState) -> list[dict[str, object]]:
    comparisons: list[dict[str, object]] = json.loads(to_json(state, FinalMetrics()))["comparisons"]
    return comparisons


def test_the_fold_takes_the_times_of_blocks_that_count() -> None:
    made = script().begin().blocks(12, 1.5, 0.02)
    made.block((30, 90), kept=False, reasons=["throttled: thermal"]).blocks(1, 1.5)
    state, ab_test = folded(made.end())
    assert (ab_test.kept_blocks, len(ab_test.blocks), ab_test.sequences["B"].n) == (13, 14, 13)
    expected = ConfidenceSequence(0.02)
    for i in (*range(12), 0):
        width = 0.02 if expected.n < 12 else 0.01
        expected.add(math.log(1.5 * (1 + width * ((i * 7919) % 11 - 5) / 5)))
    got, reference = ab_test.look("B"), expected.looks[-1]
    assert got.interval is not None and reference.interval is not None
    assert got.ratio == pytest.approx(reference.ratio, rel=1e-6)
    assert got.interval == pytest.approx(reference.interval, rel=1e-6)
    assert len(state.cells["A"].samples.kept()) == 26, "a discarded block is no sample"


@pytest.mark.parametrize(
    ("ratio", "verdict", "beginning"),
    [
        (1.47, "faster", "B is 1.47x as fast as A  [1.4"),
        (0.5, "slower", "A is 2.00x as fast as B  [1.9"),
        (1.001, "equivalent", "B is as fast as A within 2 %"),
    ],
)
def test_verdicts_in_words(ratio: float, verdict: str, beginning: str) -> None:
    state, ab_test = folded(script().fidelity().begin().blocks(14, ratio, 0.004).end())
    assert ab_test.verdict("B") == verdict
    assert ab_test.words("B", over=True).startswith(beginning)
    text = table.format_report(state, FinalMetrics())
    assert beginning in text and "output: not measurable: random weights" in text
    (comparison,) = exported(state)
    assert (comparison["verdict"], comparison["blocks"], comparison["metric"]) == (
        verdict,
        14,
        "e2e_ms",
    )
    assert comparison["won"] == (0 if ratio < 1 else 14 if ratio > 1.1 else comparison["won"])
    fidelity = comparison["fidelity"]
    assert isinstance(fidelity, dict) and fidelity["badge"] == "unknown"
    assert fidelity["kld"] == 0.004 and "means nothing" in fidelity["notes"][0]


def test_what_is_open_at_the_end_is_inconclusive_and_says_what_was_missing() -> None:
    state, ab_test = folded(script().begin().blocks(4, 1.5).end())
    assert ab_test.verdict("B") is None and ab_test.verdict("B", over=True) == "inconclusive"
    (comparison,) = exported(state)
    assert comparison["verdict"] == "inconclusive" and "4 blocks of at least 10" in str(
        comparison["notes"]
    )
    assert "inconclusive" in table.format_report(state, FinalMetrics())


@pytest.mark.parametrize(
    ("blocks", "reason", "verdict", "step"),
    [
        (None, "done", "inconclusive", "4 blocks of at least 10: a longer --budget decides"),
        (4, "done", "inconclusive", "of at least 10: more --blocks decide"),
        (None, "stopped", None, "of at least 10: txtop resume measures the rest"),
    ],
)
def test_too_few_blocks_name_the_step_that_brings_more(
    blocks: int | None, reason: str, verdict: str | None, step: str
) -> None:
    made = Script(msgspec.structs.replace(script().plan, iterations=blocks))
    state, _ = folded(made.begin().blocks(4, 1.5).end(reason=reason))
    (comparison,) = exported(state)
    assert comparison["verdict"] == verdict and step in str(comparison["notes"])
    text = table.format_report(state, FinalMetrics())
    assert ("inconclusive" in text) == (verdict is not None)


def test_a_difference_inside_the_margin_is_measurable() -> None:
    _, ab_test = folded(script().begin().blocks(40, 1.01, 0.002).end())
    assert ab_test.verdict("B") == "equivalent"
    assert "measurable: 1.0 %, inside the margin" in ab_test.words("B")


@pytest.mark.parametrize(("ratio", "is_noted"), [(1.04, True), (1 / 1.04, True), (1.2, False)])
def test_a_small_win_may_be_that_of_a_process(ratio: float, is_noted: bool) -> None:
    state, ab_test = folded(script().begin().blocks(40, ratio, 0.002).end())
    assert ab_test.verdict("B") in ("faster", "slower")
    (comparison,) = exported(state)
    assert (ONE_START in str(comparison["notes"])) == is_noted


def test_the_interval_is_over_starts_and_not_over_their_blocks() -> None:
    made, ratios = script(starts=8).begin(), [1.09, 0.93, 1.03, 0.97, 1.05]
    for ratio in ratios:
        made.start(10, ratio)
    state, ab_test = folded(made.blocks(6, 1.5).made)
    sequence, look = ab_test.sequences["B"], ab_test.look("B")
    assert sequence.differences == pytest.approx([math.log(r) for r in ratios], abs=2e-3)
    assert sequence.n == 5 and ab_test.kept_blocks == 56, "the open start is no observation yet"
    logs = sequence.differences
    half = compute_anytime_t_half_width(5, stdev(logs))
    low = max(fmean(logs[:n]) - compute_anytime_t_half_width(n, stdev(logs[:n])) for n in (4, 5))
    assert look.interval is not None and look.interval[0] == pytest.approx(math.exp(low))
    assert half > 0.1 and ab_test.verdict("B") is None, "blocks alone would have named a winner"
    assert "start 5, no verdict yet" in ab_test.words("B")
    assert "assumes normally distributed noise" in ab_test.words("B")
    (comparison,) = exported(state)
    assert [comparison[k] for k in ("starts", "blocks", "won")] == [5, 56, 3]
    report = table.format_report(state, FinalMetrics())
    assert "5 starts, 56 blocks" in report and " starts  verdict" in report


STARTS_MS = ((30.0, 20.0), (33.0, 21.0), (27.0, 19.0), (36.0, 22.0), (31.0, 18.0))


def measure_starts(count: int) -> Script:
    """Return an A/B of so many starts of five blocks, and two blocks of an open one.

    Blocks of one start differ by a thousandth, as calls of one process do, and starts by a tenth.
    """
    made = script(starts=8).begin()
    for a_ms, b_ms in STARTS_MS[:count]:
        for block in range(5):
            off = 1 + (block - 2) / 1000
            made.block((a_ms * off, b_ms * off), ends_start=block == 4)
    return made.block((30.0, 20.0)).block((30.0, 20.0))


@pytest.mark.parametrize("count", [3, 4, 5])
def test_the_interval_of_an_arm_is_over_starts_in_every_figure_and_place(count: int) -> None:
    made = measure_starts(count)
    live, finals, cache = fold_all(made.made), FinalMetrics(), FrameCache()
    running = {name: cache.summarise_live(own, "e2e_ms") for name, own in live.cells.items()}
    state, _ = folded(made.end())
    arms = json.loads(WRITERS["json"](state, finals))["cells"]
    rows = list(csv.DictReader(io.StringIO(WRITERS["csv"](state, finals).decode())))
    report = table.format_report(state, finals)
    for place, (arm, row) in enumerate(zip(arms, rows, strict=True)):
        own, metrics = state.cells[arm["id"]], arm["metrics"]
        means = [pair[place] for pair in STARTS_MS[:count]]
        half = 0.0
        if count >= 4:
            half = float(t.ppf(0.975, count - 1)) * stdev(means) / count**0.5
        ends = (fmean(means) - half, fmean(means) + half) if half else None
        for metric, scale in (("e2e_ms", 1.0), ("ttft_ms", 0.4), ("tpot_ms", 0.2), ("itl_ms", 0.2)):
            expected = None if ends is None else pytest.approx([scale * end for end in ends], 1e-4)
            assert metrics[metric]["ci95"] == expected, metric
        rate = metrics["tokens_per_s"]
        inverted = None if ends is None else pytest.approx([4e3 / ends[1], 4e3 / ends[0]], 1e-4)
        assert rate["ci95"] == inverted and rate["n"] == 2 * (5 * count + 2)
        note = f"{count} starts: an interval is over their means"
        if ends is None:
            note = "no interval: 3 starts of at least 4"
        assert note in rate["notes"] and note in arm["notes"]
        assert f"all cells: {note}\n" in report and "drift" not in report
        now = cache.summarise_now(own, "tokens_per_s", 0)
        assert now.ci95 == (None if ends is None else pytest.approx(rate["ci95"], 1e-6))
        assert running[arm["id"]].ci95 == (None if ends is None else pytest.approx(ends, 1e-4))
        assert explain_no_interval(own, cache, 0)[1] == note
        assert bool(row["tokens_per_s_ci95_lo"]) == bool(ends)


def test_starts_of_one_session_are_compared_as_sessions_are() -> None:
    base, new = (fold_all(measure_starts(count).end()) for count in (4, 5))
    sides = ([(state, state.cells["A"])] for state in (base, new))
    contrast = compare_cell("A", *sides, margin=0.02).contrast
    assert contrast is not None and contrast.ci95 is not None
    assert (contrast.sessions_base, contrast.sessions_new) == (4, 5)
    assert contrast.ratio == pytest.approx(31.5 / 31, rel=1e-3)
    assert contrast.ci95[1] - contrast.ci95[0] > 0.15


def test_no_verdict_before_the_fourth_start_however_many_blocks() -> None:
    made = script(starts=4).begin()
    for count in range(1, 5):
        made.start(10, 1.5 + 0.01 * count)
        _, ab_test = folded(made.made)
        assert ab_test.verdict("B") == (None if count < 4 else "faster")
    three = script(starts=4).begin().start(10, 1.5).start(10, 1.51).start(9, 1.52)
    (comparison,) = exported(folded(three.end())[0])
    assert "3 starts of at least 4: more --starts decide" in str(comparison["notes"])


def test_a_small_win_over_starts_is_no_longer_that_of_a_process() -> None:
    made = script(starts=8).begin()
    for count in range(8):
        made.start(10, 1.06 + 0.001 * (count % 3))
    state, ab_test = folded(made.end())
    assert ab_test.verdict("B") == "faster"
    assert ONE_START not in str(exported(state)[0]["notes"])


def test_no_speed_is_claimed_for_an_arm_that_makes_nan() -> None:
    made = script().fidelity(invalid=5, kld=None, top1=None).begin().blocks(14, 2.0)
    state, ab_test = folded(made.end())
    assert ab_test.verdict("B", over=True) is None and state.failed == 1
    (comparison,) = exported(state)
    assert (
        comparison["ratio"]
        is comparison["ci95"]
        is comparison["verdict"]
        is comparison["wilcoxon_p"]
        is None
    )
    text = table.format_report(state, FinalMetrics())
    assert "INVALID" in text and "faster" not in text and "2.00" not in text


def test_nan_in_warm_up_makes_invalid_too() -> None:
    made = script().begin()
    sick = next(e for e in made.made if isinstance(e, events.Iteration) and e.cell == "B")
    sick.invalid = 7
    _, ab_test = folded(made.blocks(12, 2.0).end())
    assert "B is INVALID" in ab_test.explain_no_verdict("B") and ab_test.left_in == [ab_test.first]


def test_a_failed_arm_leaves_the_others_to_be_compared() -> None:
    made = script({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "int8"}).begin()
    failed = events.CellFinished(t_ns=made.at_ns, cell="B", status="oom", reason="too big")
    made.made.append(failed)
    state, ab_test = folded(made.made)
    assert [arm.id for arm in ab_test.left_in] == ["A", "C"] and not ab_test.decided
    assert ab_test.verdict("B", over=True) is None and "B oom" in ab_test.words("B")
    assert state.working == {"A", "C"}


@pytest.mark.parametrize("starts", [1, 4])
def test_the_export_counts_the_blocks_in_which_an_arm_took_part(starts: int) -> None:
    knobs = ({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "int8"})
    made = script(*knobs, starts=starts).begin()
    made.block((30, 20, 25)).block((30, 20, 25), ends_start=True).block((30, 20, 25), kept=False)
    made.made.append(events.CellFinished(t_ns=made.at_ns, cell="B", status="failed"))
    made.block((30, None, 25)).block((30, None, 25), ends_start=True).block((30, None, 25))
    left, stayed = exported(folded(made.end())[0])
    assert (left["blocks"], stayed["blocks"]) == (2, 5)


def test_an_arm_that_leaves_within_a_start_takes_its_open_blocks_with_it() -> None:
    made = script({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "int8"}, starts=4)
    made.begin()
    for _ in range(5):
        made.block((30, 20, 25))
    made.made.append(events.CellFinished(t_ns=made.at_ns, cell="B", status="failed"))
    made.block((30, None, 25), ends_start=True).block((30, None, 25))
    _, ab_test = folded(made.made)
    assert ab_test.open_blocks == 1 and ab_test.sequences["C"].n == 1
    assert ab_test.sequences["B"].n == 0, "its start was never complete"


def test_different_work_is_compared_by_work_done_a_second() -> None:
    made = script({"batch_size": 1}, {"batch_size": 4}).begin()
    state, ab_test = folded(made.made)
    assert not ab_test.does_same_work("B") and ab_test.compare_calls("B") is None
    (comparison,) = exported(state)
    assert comparison["metric"] == "tokens_per_s" and "as long" not in str(comparison["notes"])
    for i in range(12):
        made.block((30, 60 + i % 3))
    state, ab_test = folded(made.end())
    assert ab_test.look("B").ratio == pytest.approx(2 / (61 / 60), rel=0.01)
    (comparison,) = exported(state)
    assert comparison["metric"] == "tokens_per_s"
    assert "different work" in str(comparison["notes"]) and "takes 2.03x as long" in str(
        comparison["notes"]
    )


def test_each_arm_is_judged_by_its_own_work() -> None:
    made = script({"batch_size": 1}, {"batch_size": 8}, {"threads": 2}).begin()
    for i in range(12):
        made.block((30, 33 + i % 2, 20))
    larger, same = exported(folded(made.end())[0])
    assert (larger["metric"], same["metric"]) == ("tokens_per_s", "e2e_ms")
    assert "different work" in str(larger["notes"]) and same["notes"] == []


def test_kernels_of_fp32_that_do_not_agree_are_warned_of() -> None:
    for precision, kld, warned in (
        ("fp32", 2e-5, True),
        ("fp32", 5e-6, False),
        ("bf16", 2e-3, False),
    ):
        made = script({"precision": precision}, {"precision": precision, "attention": "eager"},
                      weights="pretrained")  # fmt: skip
        (comparison,) = exported(fold_all(made.fidelity(kld=kld).begin().blocks(10, 1.2).end()))
        assert ("kernels of one precision are 20 times" in str(comparison["notes"])) is warned


def test_few_and_dear_blocks_have_a_rule_of_their_own() -> None:
    _, ab_test = folded(script().begin().blocks(4, 0.1, 0.02, paired=True).end())
    assert ab_test.verdict("B") == "slower" and ab_test.paired and ab_test.first_look == 3
    assert "assumes normally distributed noise" in ab_test.words("B")
    _, ab_test = folded(script().begin().blocks(4, 0.1, 0.02, reloaded=True).end())
    assert ab_test.verdict("B") is None
    _, ab_test = folded(script().begin().blocks(5, 0.1, 0.02, reloaded=True).end())
    assert ab_test.verdict("B") == "slower" and "indicative" in ab_test.words("B")


def test_a_session_that_begins_anew_forgets_its_blocks_but_not_what_outputs_are() -> None:
    made = script(weights="pretrained").fidelity(invalid=1).begin().blocks(3, 1.5)
    made.begin()
    state, ab_test = folded(made.made)
    assert not ab_test.blocks and ab_test.out.keys() == {"B"} and state.cells["B"].invalid == 1


def test_an_arm_with_the_output_of_an_invalid_one_is_out_as_well() -> None:
    made = script({"precision": "fp32"}, {"precision": "bf16"}, {"precision": "bf16", "threads": 2})
    _, ab_test = folded(made.fidelity(invalid=1).begin().made)
    assert ab_test.out.keys() == {"B", "C"}


@pytest.mark.parametrize("starts", [1, 4])
def test_a_picture_of_an_ab_is_what_it_was(starts: int) -> None:
    made: Script = script(starts=starts).fidelity().begin().start(2, 1.5).start(4, 1.5)
    later = script(starts=starts).begin().start(3, 1.3).start(3, 1.3).start(3, 1.3).end()
    stream = made.made + [event for event in later if event.t_ns > made.at_ns]
    for cut in range(0, len(stream), 7):
        state = fold_all(stream[:cut])
        picture = take_snapshot(state)
        before = table.format_report(fold_all(stream[:cut]), FinalMetrics())
        for event in stream[cut:]:
            fold(state, event)
        again = restore_snapshot(picture, state)
        assert table.format_report(again, FinalMetrics()) == before
        for event in stream[cut:]:
            fold(again, event)
        assert table.format_report(again, FinalMetrics()) == table.format_report(
            state, FinalMetrics()
        )


@pytest.mark.parametrize(("ratio", "count", "code"), [(1.5, 12, 0), (1.5, 3, 3), (1.0, 14, 0)])
def test_exit_codes(ratio: float, count: int, code: int) -> None:
    state, _ = folded(script().begin().blocks(count, ratio, 0.002).end())
    assert choose_exit_code(state, recorded=True, last_line="") == code
