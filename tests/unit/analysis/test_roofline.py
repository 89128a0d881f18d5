"""MBU, MFU and ceilings of a cell, from recorded events; without a value there is a reason."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from support import explanations, streams
from support.roofline_session import GPT2, PEAKS, told
from txtop import resources
from txtop.analysis import metrics, roofline
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.roofline import LOW_PEAK
from txtop.export.json import to_json
from txtop.export.text import table
from txtop.plan.cell import Compile
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.session.reader import read_all
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.state.snapshot import restore_snapshot, take_snapshot


def exported(state: SessionState) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(to_json(state, FinalMetrics()))["cells"][0]["metrics"]
    return figures


def shares(state: SessionState) -> dict[str, Any]:
    return {name: exported(state).get(name) for name in ("mbu", "mfu")}


def standing(state: SessionState) -> roofline.RooflinePosition | None:
    cell = state.cells["c001"]
    return roofline.compute_position(
        state, cell, lambda name: metrics.summarise_live(cell, name).mean
    )


def test_the_export_states_both() -> None:
    figures = exported(told())
    # Context 8 + (4 - 2) / 2 = 9, and one position written.
    step = 494_613_504 + 2 * (3_072 + 10 * 73_728)
    tpot_s = figures["tpot_ms"]["mean"] / 1000
    assert figures["mbu"]["mean"] == pytest.approx(step / tpot_s / 50e9 * 100, rel=1e-6)
    assert figures["mbu"]["notes"] == ["of 50 GB/s as measured here, threads: 1"]
    flops = 2 * (8 * (2 * 85_056_000 + 2 * 12 * 768 * 8) + 2 * 38_597_376)
    assert figures["mfu"]["mean"] == pytest.approx(flops / 0.020 / 4e12 * 100, rel=1e-6)
    assert figures["mfu"]["notes"] == ["of 4000 GFLOP/s in fp32 as measured here, threads: 1"]
    assert figures["mbu"]["unit"] == figures["mfu"]["unit"] == "%"
    assert figures["mbu"]["n"] == figures["tpot_ms"]["n"] and len(figures["mbu"]["ci95"]) == 2


def test_the_ceiling_is_what_the_memory_allows_at_this_batch_and_context() -> None:
    state = told()
    step = 494_613_504 + 2 * (3_072 + 10 * 73_728)
    ceiling = roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"])
    assert ceiling == pytest.approx(2 * 50e9 / step)
    now = standing(state)
    assert now is not None and now.ceiling == ceiling
    # Gaps of 10 + index ms in the iterations 2 to 13: 17.5 ms on average.
    assert now.mbu == pytest.approx(step / 0.0175 / 50e9 * 100)
    assert (now.bound, now.source, now.error) == ("memory bandwidth", "measured", False)
    assert now.share == now.mbu


def test_grouped_heads_read_less_of_the_cache() -> None:
    state = told(geometry=msgspec.structs.replace(GPT2, kv_heads=3))
    step = 494_613_504 + 2 * (3_072 + 10 * 73_728 // 4)
    ceiling = roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"])
    assert ceiling == pytest.approx(2 * 50e9 / step, rel=1e-9)


def test_int8_would_lift_the_ceiling() -> None:
    now = standing(told())
    multiplied = 85_056_000 + 38_597_376
    rest = 2 * (3_072 + 10 * 73_728)
    assert now is not None
    assert now.lift == pytest.approx((4 * multiplied + rest) / (multiplied + rest))
    assert 3.9 < now.lift < 4


@pytest.mark.parametrize(("compiled", "lifts"), [("none", False), ("default", True)])
def test_int8_lifts_nothing_on_a_gpu_without_the_compiler(compiled: Compile, lifts: bool) -> None:
    state = told()
    cell = state.cells["c001"]
    assert cell.load is not None
    cell.load.device = "cuda"
    cell.cell = msgspec.structs.replace(cell.cell, compile=compiled)
    now = standing(state)
    assert now is not None and now.bound == "memory bandwidth"
    assert (now.lift is not None) == lifts


@pytest.mark.parametrize(("cache", "bounds"), [(494_613_504, True), (494_613_505, False)])
def test_weights_that_fit_into_the_cache_are_not_bound_by_memory(cache: int, bounds: bool) -> None:
    mbu = exported(told(peaks=PEAKS | {"cache_bytes": cache}))["mbu"]
    assert (mbu["mean"] is not None) == bounds
    assert bounds or mbu["notes"] == ["the weights fit into the device's cache"]


def test_far_from_both_roofs_neither_is_blamed() -> None:
    peaks = PEAKS | {"bandwidth_bytes_per_s": 500e9, "flops_per_s": {"fp32": 1.5e11}}
    now = standing(told(peaks=peaks))
    # 2 x (2 x 123.7 M + 4 x 12 x 768 x 9) FLOPs in 17.5 ms: 19 % of the nearer of the two.
    flops = 2 * (2 * 123_653_376 + 4 * 12 * 768 * 9)
    assert now is not None and (now.bound, now.lift) == ("neither", None)
    assert now.share == pytest.approx(flops / 0.0175 / 1.5e11 * 100)


def test_over_everything_there_is_an_error_and_no_number() -> None:
    state = told(peaks=PEAKS | {"bandwidth_bytes_per_s": 20e9})
    figures = shares(state)
    assert figures["mbu"]["mean"] is None and figures["mfu"]["mean"] is not None
    assert figures["mbu"]["notes"][0] == "accounting error: over 100 %"
    now = standing(state)
    assert now is not None and now.error
    assert (now.mbu, now.share, now.bound, now.lift) == (None, None, None, None)
    assert "MBU: accounting error: over 100 %" in table.format_report(state, FinalMetrics())


def test_no_share_of_a_peak_is_stated_beside_an_explanation_that_disproves_it() -> None:
    state = told()
    assert exported(state)["mbu"]["mean"] is not None
    part = events.StepPart(kind="mlp", ns=1000, read_bytes=100_000)
    state.explanations["c001"] = events.Explanation(
        t_ns=1, cell="c001", phases=[explanations.phase(parts=[part])]
    )
    figures = exported(state)
    assert figures["mbu"]["mean"] is None and figures["mfu"]["mean"] is not None
    assert figures["mbu"]["notes"] == [LOW_PEAK]
    now = standing(state)
    assert now is not None and now.mbu is None and now.ceiling is None


@pytest.mark.parametrize(
    ("state", "mbu", "mfu"),
    [
        (told(peaks=None), *["the peaks of the device are not known"] * 2),
        (told(geometry=None), *["the geometry of the model is not known"] * 2),
        (told(family="seq2seq"), *["there is no convention for an encoder-decoder"] * 2),
        (told(threads=2), *["the peaks of the device are not known"] * 2),
        (told(device_id="GPU-1"), *["the peaks of the device are not known"] * 2),
        (
            told(geometry=msgspec.structs.replace(GPT2, window=11)),
            "some layers reach back 11 positions only",
            None,
        ),
        (
            told(geometry=msgspec.structs.replace(GPT2, routed=True)),
            "which experts a batch wakes is not known",
            None,
        ),
        (
            told(geometry=msgspec.structs.replace(GPT2, dtype="int8")),
            None,
            "the peak of int8 arithmetic is not known",
        ),
        (
            told(geometry=msgspec.structs.replace(GPT2, step_bytes=0, row_bytes=0, layers=0)),
            "the geometry of the model is not known",
            None,
        ),
    ],
)
def test_what_is_not_known_is_null_with_a_note(
    state: SessionState, mbu: str | None, mfu: str | None
) -> None:
    for share, why in zip(shares(state).values(), (mbu, mfu), strict=True):
        if why is None:
            assert share["mean"] is not None
        else:
            assert (share["mean"], share["notes"]) == (None, [why])
    ceiling = roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"])
    assert (ceiling is None) == (mbu is not None)
    assert (standing(state) is None) == (mbu is not None and mfu is not None)


def test_an_encoder_has_no_decode_step() -> None:
    state = told(family="encoder", peaks=PEAKS | {"flops_per_s": {"fp32": 1e11}})
    figures = exported(state)
    assert "mbu" not in figures
    flops = 2 * (8 * (2 * 85_056_000 + 4 * 12 * 768 * 8) + 2 * 38_597_376)
    forward_s = 2 / figures["sequences_per_s"]["mean"]
    assert figures["mfu"]["mean"] == pytest.approx(flops / forward_s / 1e11 * 100, rel=1e-6)
    assert roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"]) is None
    now = standing(state)
    # The mean of 20 + 3 x (10 + index) ms over the iterations 2 to 13 is 72.5 ms.
    assert now is not None and now.mbu is None
    assert now.share == pytest.approx(flops / 0.0725 / 1e11 * 100)
    assert (now.bound, now.lift) == ("arithmetic", None)


def test_published_peaks_say_so() -> None:
    state = told(
        device="cuda",
        device_name="NVIDIA H200",
        device_id="GPU-1",
        peaks=PEAKS | {"device": "GPU-1", "source": "table", "bandwidth_bytes_per_s": 4.8e12},
    )
    assert shares(state)["mbu"]["notes"] == ["of 4800 GB/s as published"]
    now = standing(state)
    assert now is not None and now.source == "published"


def test_the_peaks_of_all_workers_are_one() -> None:
    state = told()
    other = PEAKS | {"bandwidth_bytes_per_s": 60e9, "flops_per_s": {"bf16": 9e12}}
    before = roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"])
    fold(state, events.DevicePeaks(t_ns=0, **other))
    assert before is not None
    after = roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"])
    assert after == pytest.approx(before * 60 / 50)
    fold(state, events.DevicePeaks(t_ns=0, **PEAKS | {"bandwidth_bytes_per_s": 1e9}))
    assert roofline.compute_ceiling_tokens_per_s(state, state.cells["c001"]) == after
    assert list(state.peaks) == [("A CPU", 1)]
    assert state.peaks["A CPU", 1].flops_per_s == {"fp32": 4e12, "bf16": 9e12}


def test_a_picture_keeps_the_peaks_of_its_time() -> None:
    state = told()
    picture = take_snapshot(state)
    fold(state, events.DevicePeaks(t_ns=0, **PEAKS | {"bandwidth_bytes_per_s": 60e9}))
    assert restore_snapshot(picture, state).peaks["A CPU", 1].bandwidth_bytes_per_s == 50e9


def test_one_new_token_has_a_prefill_alone() -> None:
    plan = Plan(
        cells=expand_matrix(
            models=["gpt2"], precisions=["fp32"], attention=["sdpa"], batch_sizes=[2],
            sequence_lengths=[8], new_tokens=[1],
        ),
        iterations=12, warmup=1,
    )  # fmt: skip
    made: list[AnyEvent] = []
    for event in streams.stream(plan):
        if isinstance(event, events.ModelLoaded):
            event = streams.load(event.t_ns, event.cell, geometry=GPT2)
            made.append(events.DevicePeaks(t_ns=event.t_ns, **PEAKS))
        made.append(event)
    figures = shares(fold_all(made))
    assert (figures["mbu"]["mean"], figures["mbu"]["notes"]) == (None, ["one new token"])
    assert figures["mfu"]["mean"] is not None


def columns(state: SessionState) -> Sequence[str]:
    return [name for name, _ in table.list_columns(state)]


def test_show_has_the_columns_where_peaks_are_known() -> None:
    state = told()
    assert columns(state)[-3:] == ["MBU %", "MFU %", "status"]
    row = dict(zip(columns(state), table.build_rows(state, FinalMetrics())[0], strict=True))
    assert (row["MBU %"], row["MFU %"]) == ("50.9", "3.60")
    assert "MBU %" not in columns(told(peaks=None))


@pytest.mark.parametrize("name", ["gpt2-precisions", "bert-lengths"])
def test_a_session_from_before_has_reasons_in_place_of_shares(name: str) -> None:
    logged, problems = read_all(resources.find_directory("sessions") / f"{name}.jsonl")
    assert not problems.lines()
    state = fold_all(logged)
    for cell in json.loads(to_json(state, FinalMetrics()))["cells"]:
        share = cell["metrics"]["mfu"]
        assert (share["mean"], share["notes"]) == (None, ["the peaks of the device are not known"])
    assert "MBU" not in table.format_report(state, FinalMetrics())


def test_the_two_facts_survive_the_log() -> None:
    peaks = events.DevicePeaks(t_ns=1, **PEAKS)
    load = streams.load(1, "c001", geometry=GPT2)
    assert [codec.decode_event(codec.encode_event(event)[:-1]) for event in (peaks, load)] == [
        peaks,
        load,
    ]
    zero = codec.encode_event(peaks).replace(b"50000000000.0", b"0")
    with pytest.raises(codec.BadLine):
        codec.decode_event(zero[:-1])
