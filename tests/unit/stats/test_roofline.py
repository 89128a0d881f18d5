"""Bytes and FLOPs of a model, worked by hand, and shares of a device's peak."""

from __future__ import annotations

import pytest

from txtop.stats import roofline
from txtop.stats.summary import summarise

GPT2_FP32 = {"weights": 4 * (124_439_808 - 786_432), "row": 4 * 768, "position": 73_728}


def test_the_cache_of_gpt2_and_of_a_model_with_fewer_key_heads() -> None:
    # 2 x 12 layers x 12 heads x 64 x 4 bytes; SmolLM2 in bf16: 2 x 30 x 3 of 9 heads x 64 x 2.
    assert roofline.compute_kv_bytes(12, 12, 64, 4) == 73_728
    assert roofline.compute_kv_bytes(30, 3, 64, 2) == 23_040


def test_the_context_is_the_mean_over_the_steps() -> None:
    for prompt, new in ((128, 32), (1, 2), (8, 3)):
        contexts = [prompt + j - 1 for j in range(1, new)]
        assert roofline.compute_mean_context(prompt, new) == sum(contexts) / len(contexts)


def test_bytes_of_a_decode_step_of_gpt2() -> None:
    # 128 + 32 tokens: 143 positions read and one written beside 494,613,504 bytes of weights.
    one = roofline.compute_decode_bytes(batch=1, context=143, **GPT2_FP32)
    assert one == 494_613_504 + 3_072 + 144 * 73_728 == 505_233_408
    eight = roofline.compute_decode_bytes(batch=8, context=143, **GPT2_FP32)
    assert eight == 494_613_504 + 8 * (3_072 + 144 * 73_728)


def test_mbu_is_bytes_over_tpot_over_bandwidth() -> None:
    # TPOT of 36 ms and 20 GB/s: 505,233,408 / 0.036 / 20e9 = 70.17 %.
    most = roofline.compute_ceiling(
        1, roofline.compute_decode_bytes(batch=1, context=143, **GPT2_FP32), 20e9
    )
    assert most == pytest.approx(39.5856, rel=1e-5)
    rate = summarise([1 / 0.035, 1 / 0.037] * 6, "tok/s", rate=True)
    metric = roofline.compute_utilisation(rate, most, "of 20 GB/s")
    assert metric.mean == pytest.approx(70.17, abs=0.005)
    assert metric.ci95 is not None and metric.ci95[0] < 70.17 < metric.ci95[1]
    assert (metric.unit, metric.n, metric.notes) == ("%", 12, ["of 20 GB/s"])
    assert metric.min == pytest.approx(505_233_408 / 0.037 / 20e9 * 100)


def test_more_than_everything_is_an_error_and_no_number() -> None:
    rate = summarise([50.0] * 12, "tok/s", rate=True)
    metric = roofline.compute_utilisation(rate, 39.6, "of 20 GB/s")
    assert (metric.mean, metric.ci95) == (None, None)
    assert metric.notes[0] == "accounting error: over 100 %"
    assert roofline.compute_utilisation(rate, 50.0, "").mean == 100


def test_without_a_rate_there_is_its_reason() -> None:
    metric = roofline.compute_utilisation(summarise([], "tok/s"), 39.6, "")
    assert (metric.mean, metric.n, metric.notes) == (None, 0, ["no sample"])


def test_flops_of_a_prompt_and_of_a_step() -> None:
    # 2 sequences of 4: each position 2 x 100 and half of a square, 3 layers x 5 wide; 10 once.
    causal = roofline.compute_prompt_flops(
        position_parameters=100,
        sequence_parameters=10,
        batch=2,
        length=4,
        layers=3,
        attention=5,
        square=roofline.CAUSAL,
    )
    assert causal == 2 * (4 * (200 + 2 * 3 * 5 * 4) + 20) == 2600
    full = roofline.compute_prompt_flops(
        position_parameters=100,
        sequence_parameters=10,
        batch=2,
        length=4,
        layers=3,
        attention=5,
        square=roofline.FULL,
    )
    assert full - causal == 2 * 4 * 2 * 3 * 5 * 4
    step = roofline.compute_decode_flops(parameters=110, batch=2, context=4, layers=3, attention=5)
    assert step == 2 * (220 + 4 * 3 * 5 * 4) == 920


def test_a_prompt_is_the_sum_of_its_positions() -> None:
    """Half of the square: position i attends to i + 1/2 of them, as c = 2 means."""
    steps = sum(
        roofline.compute_decode_flops(
            parameters=100, batch=1, context=i + 0.5, layers=3, attention=5
        )
        for i in range(64)
    )
    assert steps == roofline.compute_prompt_flops(
        position_parameters=100,
        sequence_parameters=0,
        batch=1,
        length=64,
        layers=3,
        attention=5,
        square=roofline.CAUSAL,
    )


def test_nothing_allows_nothing() -> None:
    assert roofline.compute_ceiling(1, 0, 20e9) is None
    assert roofline.compute_ceiling(1, 10, 0) is None


@pytest.mark.parametrize(
    ("memory", "arithmetic", "share", "bound"),
    [
        (40, 400, 70, "memory bandwidth"),
        (400, 40, 70, "arithmetic"),
        (40, 400, 24.9, "neither"),
        (40, 40, 25, "memory bandwidth"),
    ],
)
def test_the_nearer_roof_bounds_what_comes_near_it(
    memory: float, arithmetic: float, share: float, bound: str
) -> None:
    assert roofline.classify_bound(memory, arithmetic, share) == bound
