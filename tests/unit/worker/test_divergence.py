"""The divergence of two outputs, against an independent computation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import entropy, sem

from txtop.worker.fidelity import divergence

ROWS, VOCABULARY = 300, 700


def _logits(seed: int, spread: float = 3.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, (ROWS, VOCABULARY)).astype(np.float32)


def _apart(
    reference: np.ndarray, cell: np.ndarray, targets: np.ndarray
) -> divergence.TokenDivergences:
    rows = [divergence.compute_log_probabilities(torch.from_numpy(x))[0] for x in (reference, cell)]
    return divergence.compare_tokens(rows[0], rows[1], torch.from_numpy(targets))


@pytest.mark.parametrize("noise", [1e-3, 0.1, 2.0])
def test_as_scipy_has_it(noise: float) -> None:
    reference = _logits(1)
    cell = reference + noise * _logits(2, 1.0)
    targets = np.random.default_rng(3).integers(VOCABULARY, size=ROWS)
    summary = divergence.summarise_tokens([_apart(reference, cell, targets)])

    p, q = (log_softmax(x.astype(np.float64), axis=1) for x in (reference, cell))
    kld = np.array([entropy(np.exp(a), np.exp(b)) for a, b in zip(p, q, strict=True)])
    rows = np.arange(ROWS)
    change = np.exp(p[rows, targets]) - np.exp(q[rows, targets])
    assert summary.kld == pytest.approx(kld.mean(), abs=1e-6)
    assert summary.kld == pytest.approx(kld.mean(), rel=1e-4)
    assert summary.kld_stderr == pytest.approx(sem(kld), rel=1e-4)
    assert summary.kld_median == pytest.approx(np.percentile(kld, 50), rel=1e-4)
    assert summary.kld_p99 == pytest.approx(np.percentile(kld, 99), rel=1e-4)
    assert summary.kld_max == pytest.approx(kld.max(), rel=1e-4)
    assert summary.top1 == int((p.argmax(1) == q.argmax(1)).sum())
    perplexity = math.exp(-q[rows, targets].mean()) / math.exp(-p[rows, targets].mean())
    assert summary.perplexity_ratio == pytest.approx(perplexity, abs=1e-6)
    assert summary.rms_probability == pytest.approx(math.sqrt((change**2).mean()), abs=1e-6)


def test_a_reference_is_no_distance_from_itself() -> None:
    logits = _logits(1, 20.0)
    summary = divergence.summarise_tokens([_apart(logits, logits, np.zeros(ROWS, dtype=np.int64))])
    assert (summary.kld, summary.kld_max, summary.top1) == (0.0, 0.0, ROWS)
    assert (summary.perplexity_ratio, summary.rms_probability) == (1.0, 0.0)


def test_a_small_distance_is_neither_negative_nor_lost_in_rounding() -> None:
    # Rounding the log-probabilities to float32 moves each by 1e-7 or so, and the plain sum of
    # p log(p/q) by as much: here by more than the distance itself.
    reference = _logits(1)
    cell = reference + 1e-4 * _logits(2, 1.0)
    tokens = _apart(reference, cell, np.zeros(ROWS, dtype=np.int64))
    p, q = (log_softmax(x.astype(np.float64), axis=1) for x in (reference, cell))
    exact = (np.exp(p) * (p - q)).sum(1)
    assert (tokens.kld >= 0).all()
    assert exact.mean() < 1e-8
    assert tokens.kld.mean() == pytest.approx(exact.mean(), rel=0.01)


def test_windows_add_up_to_the_whole() -> None:
    reference, cell = _logits(1), _logits(2)
    targets = np.arange(ROWS)
    whole = divergence.summarise_tokens([_apart(reference, cell, targets)])
    cuts = (slice(0, 1), slice(1, 100), slice(100, ROWS))
    parts = [_apart(reference[cut], cell[cut], targets[cut]) for cut in cuts]
    assert divergence.summarise_tokens(parts) == whole


def test_log_probabilities_are_rounded_once() -> None:
    logits = torch.from_numpy(_logits(1, 30.0)).bfloat16()
    rows, invalid = divergence.compute_log_probabilities(logits)
    exact = log_softmax(logits.double().numpy(), axis=1)
    assert (rows.dtype, invalid) == (torch.float32, 0)
    assert (rows.numpy() == exact.astype(np.float32)).mean() > 0.999
    assert np.abs(rows.numpy() - exact).max() < 1e-5


def test_nan_and_inf_are_counted() -> None:
    logits = torch.from_numpy(_logits(1))
    logits[3, 5], logits[70, 1], logits[299, 0] = math.nan, math.inf, -math.inf
    assert divergence.compute_log_probabilities(logits)[1] == 3


def test_logits_that_span_all_of_float32_make_no_nan() -> None:
    most = torch.finfo(torch.float32).max
    reference = torch.tensor([[most, -most, 0.0]])
    cell = torch.tensor([[-most, most, 0.0]])
    summary = divergence.summarise_tokens([_apart(reference.numpy(), cell.numpy(), np.array([0]))])
    assert summary.kld == pytest.approx(1e9)
    assert summary.top1 == 0 and summary.kld_stderr is None
    # exp(1e9) is not a number that can be stated.
    assert summary.perplexity_ratio is None
    assert summary.rms_probability == 1.0


def test_the_first_of_equal_tokens_is_the_top() -> None:
    reference = np.array([[1.0, 5.0, 5.0], [2.0, 2.0, 0.0]], dtype=np.float32)
    cell = np.array([[1.0, 5.0, 4.0], [2.0, 3.0, 0.0]], dtype=np.float32)
    assert list(_apart(reference, cell, np.array([0, 0])).same_top) == [True, False]


def test_cosines() -> None:
    a, b = torch.from_numpy(_logits(1)), torch.from_numpy(_logits(2))
    x, y = a.double().numpy(), b.double().numpy()
    expected = (x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1)
    assert divergence.compute_cosines(a, b) == pytest.approx(expected, abs=1e-12)
    assert divergence.compute_cosines(a, a) == pytest.approx(np.ones(ROWS), abs=1e-15)
    assert divergence.compute_cosines(a, a).max() <= 1.0
    assert divergence.compute_cosines(a, -3 * a) == pytest.approx(-np.ones(ROWS))
    nothing = torch.zeros(1, 4)
    assert list(divergence.compute_cosines(nothing, nothing)) == [1.0]
    assert list(divergence.compute_cosines(nothing, torch.ones(1, 4))) == [0.0]


@pytest.mark.parametrize(
    ("reference", "cell", "expected"),
    [
        ([1, 2, 3], [1, 2, 3], None),
        ([1, 2, 3], [1, 2, 4], 2),
        ([1, 2, 3], [7, 2, 3], 0),
    ],
)
def test_where_free_writing_parts(
    reference: list[int], cell: list[int], expected: int | None
) -> None:
    assert divergence.find_first_difference(reference, cell) == expected
