"""The figures of divergence of two outputs on the same input: distributions, or hidden states.

They are computed on the CPU in float64, over slices of rows because float64 copies of a vocabulary
are large. See docs/method.md, "Fidelity".
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]

_ROWS = 64
SIMILARITY_DIGITS = 9
"""Round to these: a difference beyond them is none, and equal texts would be ranked by it."""
# exp() of it is 0. A model that masks tokens with the least number of its dtype would otherwise
# overflow float32, and 0 times infinity is NaN.
_LEAST = -1e9
_MOST_LOG_RATIO = 69.0
"""exp() of it is about 1e30."""


@dataclass(frozen=True)
class TokenDivergences:
    """The divergences of n positions, in arrays of shape (n,).

    `kld` is KL(reference || cell) in nats, `same_top` is set where both have the same likeliest
    token, and the others are the log-probabilities of the true token.
    """

    kld: Floats
    same_top: npt.NDArray[np.bool_]
    true_reference: Floats
    true_cell: Floats


@dataclass(frozen=True)
class DivergenceSummary:
    """The figures over all positions, named as in the `fidelity` event.

    `perplexity_ratio` is `None` beyond 1e30, `kld_stderr` for a single position.
    """

    kld: float
    kld_stderr: float | None
    kld_median: float
    kld_p99: float
    kld_max: float
    top1: int
    perplexity_ratio: float | None
    rms_probability: float


def compute_log_probabilities(logits: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return the log-probabilities of `logits`, and the number of logits that are NaN or Inf.

    Both tensors have shape (n, vocabulary). The softmax is in float64, its result is rounded to
    float32.
    """
    invalid = logits.numel() - int(torch.isfinite(logits).sum())
    rows = torch.empty(logits.shape, dtype=torch.float32)
    for part, into in zip(logits.split(_ROWS), rows.split(_ROWS), strict=True):
        into.copy_(torch.log_softmax(part, -1, dtype=torch.float64).clamp_(min=_LEAST))
    return rows, invalid


def compare_tokens(
    reference: torch.Tensor, cell: torch.Tensor, targets: torch.Tensor
) -> TokenDivergences:
    """Compare two results of `compute_log_probabilities` of the same shape.

    `targets`, int64 of shape (n,), are the true tokens. Of several likeliest tokens the first
    counts.
    """
    klds, tops = [], []
    for p, q in zip(reference.split(_ROWS), cell.split(_ROWS), strict=True):
        klds.append(_kl(p.double(), q.double()))
        tops.append(p.argmax(-1) == q.argmax(-1))
    true = [rows.gather(1, targets[:, None])[:, 0].double().numpy() for rows in (reference, cell)]
    return TokenDivergences(torch.cat(klds).numpy(), torch.cat(tops).numpy(), true[0], true[1])


def _kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """Return KL(p || q) by row, from log-probabilities, as sum p log(p/q) - p + q.

    The formula is that of scipy.special.kl_div. The two extra terms sum to 0; with them no summand
    is negative, and the rounding of `p` and `q` cancels.
    """
    probability = p.exp()
    return (probability * (p - q) - probability + q.exp()).sum(-1)


def summarise_tokens(parts: list[TokenDivergences]) -> DivergenceSummary:
    """Summarise all positions of all `parts` together."""
    kld = np.concatenate([part.kld for part in parts])
    reference = np.concatenate([part.true_reference for part in parts])
    cell = np.concatenate([part.true_cell for part in parts])
    n, log_ratio = len(kld), float(np.mean(reference - cell))
    return DivergenceSummary(
        kld=float(kld.mean()),
        kld_stderr=float(kld.std(ddof=1)) / math.sqrt(n) if n > 1 else None,
        kld_median=float(np.median(kld)),
        kld_p99=float(np.quantile(kld, 0.99)),
        kld_max=float(kld.max()),
        top1=sum(int(part.same_top.sum()) for part in parts),
        perplexity_ratio=math.exp(log_ratio) if log_ratio < _MOST_LOG_RATIO else None,
        rms_probability=float(np.sqrt(np.mean((np.exp(reference) - np.exp(cell)) ** 2))),
    )


@dataclass(frozen=True)
class CosineSimilarities:
    """The cosines of one window: by token, of shape (n,), and of the pooled output."""

    tokens: Floats
    pooled: float


@dataclass(frozen=True)
class CosineSummary:
    """The figures over all windows, named as in the `fidelity` event: two means and the minimum."""

    cosine_pooled: float
    cosine_tokens: float
    cosine_tokens_min: float


def summarise_cosines(parts: list[CosineSimilarities]) -> CosineSummary:
    """Summarise all windows together."""
    tokens = np.concatenate([part.tokens for part in parts])
    pooled = float(np.mean([part.pooled for part in parts]))
    return CosineSummary(pooled, float(tokens.mean()), float(tokens.min()))


@dataclass(frozen=True)
class SimilaritySummary:
    """The figures of the embeddings of sentences, named as in the `fidelity` event.

    Those of pairs are `None` below three sentences, and the correlation where one of the two finds
    all pairs equally similar.
    """

    sentences: int
    cosine_embedding: float
    similarity_rank: float | None
    similarity_rms: float | None


def compare_embeddings(reference: torch.Tensor, cell: torch.Tensor) -> SimilaritySummary:
    """Compare two matrices of embeddings, of shape (sentences, width)."""
    embedding = float(compute_cosines(reference, cell).mean())
    n = len(reference)
    if n < 3:
        return SimilaritySummary(n, embedding, None, None)
    place = np.triu_indices(n, 1)
    theirs, ours = (
        (unit @ unit.T).numpy()[place]
        for unit in (torch.nn.functional.normalize(m.double(), dim=-1) for m in (reference, cell))
    )
    ranks = [_rank(side) for side in (theirs, ours)]
    has_order = all(np.ptp(own) > 0 for own in ranks)
    correlation = float(np.corrcoef(ranks[0], ranks[1])[0, 1]) if has_order else None
    rms = float(np.sqrt(np.mean((theirs - ours) ** 2)))
    return SimilaritySummary(n, embedding, correlation, rms)


def _rank(values: Floats) -> Floats:
    """Return ranks, equal values at their mean rank; what differs by rounding is equal."""
    _, places, counts = np.unique(
        values.round(SIMILARITY_DIGITS), return_inverse=True, return_counts=True
    )
    ranks: Floats = (counts.cumsum() - (counts - 1) / 2)[places]
    return ranks


def compute_cosines(reference: torch.Tensor, cell: torch.Tensor) -> Floats:
    """Return the cosine of each row of two matrices of shape (n, width).

    A zero row has the cosine 1 with a zero row and 0 with any other.
    """
    a, b = reference.double(), cell.double()
    norms = a.norm(dim=-1) * b.norm(dim=-1)
    same = (a == b).all(-1).double()
    cosines = torch.where(norms > 0, (a * b).sum(-1) / norms, same)
    return cosines.clamp(-1.0, 1.0).numpy()


def find_first_difference(reference: list[int], cell: list[int]) -> int | None:
    """Return the index of the first token that differs, or `None` if none does."""
    pairs = enumerate(zip(reference, cell, strict=True))
    return next((place for place, (a, b) in pairs if a != b), None)
