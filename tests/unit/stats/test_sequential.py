"""The confidence sequence of an A/B over simulated sessions, and the tests beside it."""

from __future__ import annotations

import math
from collections import Counter
from statistics import median, stdev

import numpy as np
import pytest
from scipy import stats as oracle

from txtop.stats.intervals import compute_anytime_half_width, compute_anytime_t_half_width
from txtop.stats.sequential import (
    FIRST_LOOK_STARTS,
    ConfidenceSequence,
    adjust_holm,
    compute_block_difference,
    compute_signed_rank_p,
    judge_log_ratio,
)

MARGIN = 0.02
LOOKS = 200


def _sessions(
    count: int, seed: int, *, effect: float = 0.0, drift: float = 0.0, noise: float = 0.02
) -> np.ndarray:
    """Return d of each block of `count` sessions, from simulated requests in the order A B B A; B
    is faster by `effect`, and everything slows down by `drift` across a session.
    """
    random = np.random.default_rng(seed)
    slower = np.log1p(drift * np.arange(LOOKS * 4) / (LOOKS * 4)).reshape(LOOKS, 4)
    log_ns = slower + random.normal(0, noise, (count, LOOKS, 4))
    log_ns[:, :, 1:3] -= math.log1p(effect)
    return log_ns[:, :, (0, 3)].mean(axis=2) - log_ns[:, :, (1, 2)].mean(axis=2)


def _play(differences: np.ndarray) -> tuple[str | None, int, bool]:
    """Return the first verdict, the block that brought it, and True if 1 was ever excluded."""
    sequence = ConfidenceSequence(MARGIN)
    verdict, at, excluded = None, 0, False
    for difference in differences.tolist():
        sequence.add(difference)
        excluded = excluded or sequence.excludes_one
        if verdict is None and sequence.verdict is not None:
            verdict, at = sequence.verdict, sequence.n
    return verdict, at, excluded


@pytest.mark.parametrize("drift", [0.0, 0.2])
def test_identical_arms_rarely_seem_to_differ(drift: float) -> None:
    played = [_play(d) for seed in (1, 2, 3) for d in _sessions(1_000, seed, drift=drift)]
    assert sum(excluded for *_, excluded in played) <= 0.065 * len(played)
    assert sum(v in ("faster", "slower") for v, *_ in played) <= 0.01 * len(played)
    assert sum(v == "equivalent" for v, *_ in played) >= 0.9 * len(played)


def test_a_true_effect_of_5_percent_is_found_in_20_blocks() -> None:
    played = [_play(d) for d in _sessions(1_000, 4, effect=0.05)]
    deciding_blocks = [at for verdict, at, _ in played if verdict == "faster"]
    assert len(deciding_blocks) >= 0.95 * len(played)
    assert median(deciding_blocks) <= 20
    slower = [_play(d)[0] for d in _sessions(200, 5, effect=-0.05)]
    assert slower.count("slower") >= 190


def test_drift_cancels_within_a_block() -> None:
    a, b = [100.0, 130.0], [110.0, 120.0]
    assert compute_block_difference(a, b) == pytest.approx(
        (math.log(100) + math.log(130) - math.log(110) - math.log(120)) / 2
    )
    assert abs(compute_block_difference(a, b)) < 0.01


def test_no_verdict_before_the_tenth_block_and_the_interval_never_widens() -> None:
    sequence = ConfidenceSequence(MARGIN)
    random = np.random.default_rng(0)
    before = (-math.inf, math.inf)
    for n in range(1, 60):
        sequence.add(0.4 + float(random.normal(0, 0.05)))
        interval = sequence.looks[-1].interval
        if n < 10:
            assert sequence.verdict is None and not sequence.excludes_one
        else:
            assert sequence.verdict == "faster"
            assert interval is not None
            assert before[0] <= interval[0] and interval[1] <= before[1]
            before = interval
    assert sequence.looks[0].interval is None
    assert sequence.wins == 59


def test_contradicting_looks_are_inconclusive() -> None:
    sequence = ConfidenceSequence(MARGIN)
    for i in range(40):
        sequence.add(0.5 + 1e-4 * (i % 2))
    for i in range(400):
        sequence.add(-0.5 + 1e-4 * (i % 2))
    assert sequence.verdict == "inconclusive"


def test_judged_against_the_margin() -> None:
    assert judge_log_ratio(0.03, 0.05, MARGIN) == "faster"
    assert judge_log_ratio(-0.05, -0.03, MARGIN) == "slower"
    assert judge_log_ratio(-0.01, 0.01, MARGIN) == "equivalent"
    assert judge_log_ratio(-0.03, 0.01, MARGIN) is None
    assert judge_log_ratio(0.01, 0.03, MARGIN) is None


@pytest.mark.parametrize("n", [1, 5, 12, 25, 26, 80])
def test_signed_rank_agrees_with_scipy(n: int) -> None:
    x = np.random.default_rng(n).normal(0.3, 1, n)
    method = "exact" if n <= 25 else "approx"
    expected = oracle.wilcoxon(x, method=method, correction=True).pvalue
    assert compute_signed_rank_p(list(x)) == pytest.approx(expected, rel=1e-9)


def test_signed_rank_with_ties_and_zeros_agrees_with_scipy() -> None:
    x = [0.0, 1, 1, -1, 2, 2, 3, -3, 4, 5, 5, 6, 7, -2, 0.0]
    expected = oracle.wilcoxon([v for v in x if v], method="approx", correction=True).pvalue
    assert compute_signed_rank_p(x) == pytest.approx(expected, rel=1e-9)
    assert compute_signed_rank_p([0.0, 0.0]) is None


def test_holm_adjusts_step_by_step() -> None:
    assert adjust_holm([0.01, 0.04, 0.03, None]) == pytest.approx([0.03, 0.06, 0.06, None])
    assert adjust_holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize("kind", ["normal", "laplace", "outliers"])
def test_few_blocks_are_looked_at_from_the_third_on(kind: str) -> None:
    """The rule for blocks that are expensive: identical arms, 20 looks each."""
    random = np.random.default_rng(11)
    draw = {
        "normal": lambda: random.normal(0, 0.05, (2_000, 20)),
        "laplace": lambda: random.laplace(0, 0.05, (2_000, 20)),
        "outliers": lambda: (
            random.normal(0, 0.02, (2_000, 20))
            + (random.random((2_000, 20)) < 0.1) * random.normal(0, 0.3, (2_000, 20))
        ),
    }[kind]
    excluded = won = 0
    for session in draw().tolist():
        sequence = ConfidenceSequence(MARGIN)
        sequence.expect_few_blocks(3)
        for difference in session:
            sequence.add(difference)
        excluded += sequence.excludes_one
        won += sequence.verdict in ("faster", "slower")
    assert excluded <= 0.04 * 2_000 and won <= 0.01 * 2_000


def _draw_process(random: np.random.Generator, kind: str) -> float:
    """Return how much slower a process is than another of the same program, as a log."""
    if kind == "normal":
        return float(random.normal(0, 0.04 / math.sqrt(2)))
    return 0.08 * float(random.random() < 0.5)


@pytest.mark.parametrize("kind", ["normal", "fast or slow"])
def test_equal_arms_have_no_winner_over_starts_though_one_start_names_one(kind: str) -> None:
    """Starts of equal arms differ by 4 %, blocks of one start by 1 %."""
    random = np.random.default_rng(21)
    won = Counter[str]()
    for _ in range(400):
        offsets = [_draw_process(random, kind) - _draw_process(random, kind) for _ in range(8)]
        one_start, starts = ConfidenceSequence(MARGIN), ConfidenceSequence(MARGIN)
        starts.expect_few_blocks(FIRST_LOOK_STARTS)
        for difference in random.normal(offsets[0], 0.01, 80).tolist():
            one_start.add(difference)
        for offset in offsets:
            starts.add(float(random.normal(offset, 0.01, 10).mean()))
        for name, sequence in (("one start", one_start), ("starts", starts)):
            won[name] += sequence.verdict in ("faster", "slower")
    assert won["one start"] >= 0.4 * 400, "no number of blocks shows what differs by start"
    assert won["starts"] <= 0.02 * 400


def test_few_blocks_show_a_large_effect_and_no_small_one() -> None:
    random = np.random.default_rng(12)
    for effect, expected in ((math.log(2), 3), (0.03, None)):
        sequence = ConfidenceSequence(MARGIN)
        sequence.expect_few_blocks(3)
        at = None
        for difference in random.normal(effect, 0.02, 6).tolist():
            sequence.add(difference)
            at = at or (sequence.n if sequence.verdict else None)
        assert at == expected


def test_the_guess_of_blocks_is_near_what_it_takes() -> None:
    random = np.random.default_rng(13)
    guesses, took = [], []
    for _ in range(200):
        sequence = ConfidenceSequence(MARGIN)
        for difference in random.normal(0.035, 0.02, 400).tolist():
            sequence.add(difference)
            if sequence.n == 12 and sequence.verdict is None:
                guesses.append(sequence.expected_blocks() or 400)
            if sequence.verdict is not None:
                break
        if len(guesses) > len(took):
            took.append(sequence.n)
    assert len(took) > 100
    assert 0.6 <= median(guesses) / median(took) <= 1.7
    assert len(set(guesses)) > 10, "a guess depends on what was measured"
    on_the_edge = ConfidenceSequence(MARGIN)
    for i in range(12):
        on_the_edge.add(math.log1p(MARGIN) + 0.01 * (-1) ** i)
    assert on_the_edge.expected_blocks() is None


def test_the_guess_of_blocks_is_the_first_number_that_decides() -> None:
    sequence = ConfidenceSequence(MARGIN)
    for i in range(12):
        sequence.add(0.05 + 0.04 * (-1) ** i)
    deviation = stdev(sequence.differences)
    halves = [compute_anytime_half_width(n, deviation) for n in range(1, 1_000)]
    assert sequence.expected_blocks() == 1 + next(
        i for i, half in enumerate(halves) if 0.05 - half > math.log1p(MARGIN)
    )


def test_the_anytime_t_interval_is_that_of_its_formula() -> None:
    """Wang and Ramdas: G_n = sqrt(c2 / (n + c2)) (1 - S^2 / ((n + c2) V))^(-n/2) reaches 1/alpha at
    its ends."""
    x = np.array([0.3, 0.1, 0.25, 0.2, 0.4])
    n, c2, alpha = len(x), 0.03, 0.05
    half = compute_anytime_t_half_width(n, float(x.std(ddof=1)), alpha)
    for end in (x.mean() - half, x.mean() + half):
        total, squares = (x - end).sum(), ((x - end) ** 2).sum()
        g = math.sqrt(c2 / (n + c2)) * (1 - total**2 / ((n + c2) * squares)) ** (-n / 2)
        assert g == pytest.approx(1 / alpha, rel=1e-9)
    assert compute_anytime_t_half_width(2, 1.0) == math.inf
