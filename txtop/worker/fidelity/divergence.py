"""How far two outputs on the same input are apart: distributions by token, or hidden states.

On the CPU, in float64, over slices of rows: float64 copies of a vocabulary are large.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]

_ROWS = 64
# exp() of it is 0. A model that masks tokens with the least number of its type would else overflow
# float32, and 0 times infinity is no number.
_LEAST = -1e9
_MOST_LOG_RATIO = 69.0


@dataclass(frozen=True)
class TokenDivergences:
    """By position, arrays of shape (n,): KL(reference || cell) in nats, whether the likeliest token
    is the same, and the log-probability of the true token by each."""

    kld: Floats
    same_top: npt.NDArray[np.bool_]
    true_reference: Floats
    true_cell: Floats


@dataclass(frozen=True)
class DivergenceSummary:
    """In the words of the `fidelity` event. `perplexity_ratio` is null where it is beyond 1e30,
    `kld_stderr` with a single position."""

    kld: float
    kld_stderr: float | None
    kld_median: float
    kld_p99: float
    kld_max: float
    top1: int
    perplexity_ratio: float | None
    rms_probability: float


def compute_log_probabilities(logits: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Of logits of shape (n, vocabulary): the log-probabilities by a softmax in float64, rounded to
    float32, and how many logits are NaN or Inf."""
    invalid = logits.numel() - int(torch.isfinite(logits).sum())
    rows = torch.empty(logits.shape, dtype=torch.float32)
    for part, into in zip(logits.split(_ROWS), rows.split(_ROWS), strict=True):
        into.copy_(torch.log_softmax(part, -1, dtype=torch.float64).clamp_(min=_LEAST))
    return rows, invalid


def compare_tokens(
    reference: torch.Tensor, cell: torch.Tensor, targets: torch.Tensor
) -> TokenDivergences:
    """Of two sets of `compute_log_probabilities` of the same shape; `targets`, int64 of shape (n,),
    are the true tokens. Of several likeliest tokens the first counts."""
    klds, tops = [], []
    for p, q in zip(reference.split(_ROWS), cell.split(_ROWS), strict=True):
        klds.append(_kl(p.double(), q.double()))
        tops.append(p.argmax(-1) == q.argmax(-1))
    true = [rows.gather(1, targets[:, None])[:, 0].double().numpy() for rows in (reference, cell)]
    return TokenDivergences(torch.cat(klds).numpy(), torch.cat(tops).numpy(), true[0], true[1])


def _kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    """sum p log(p/q) - p + q, of logarithms: as scipy.special.kl_div. The two terms more sum up to
    0; with them no summand is negative, and what rounding did to `p` and `q` cancels."""
    each = p.exp()
    return (each * (p - q) - each + q.exp()).sum(-1)


def summarise_tokens(parts: list[TokenDivergences]) -> DivergenceSummary:
    """Of all positions of all `parts` together."""
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
    """Of an encoder's hidden states, by token (of shape (n,)), and of what they are pooled to."""

    tokens: Floats
    pooled: float


@dataclass(frozen=True)
class CosineSummary:
    """In the words of the `fidelity` event: means, over windows and over tokens, and the least."""

    cosine_pooled: float
    cosine_tokens: float
    cosine_tokens_min: float


def summarise_cosines(parts: list[CosineSimilarities]) -> CosineSummary:
    """Of all windows together."""
    tokens = np.concatenate([part.tokens for part in parts])
    pooled = float(np.mean([part.pooled for part in parts]))
    return CosineSummary(pooled, float(tokens.mean()), float(tokens.min()))


def compute_cosines(reference: torch.Tensor, cell: torch.Tensor) -> Floats:
    """Cosine of each row of two matrices of shape (n, width). One row without a direction has 0,
    two have 1."""
    a, b = reference.double(), cell.double()
    norms = a.norm(dim=-1) * b.norm(dim=-1)
    same = (a == b).all(-1).double()
    found = torch.where(norms > 0, (a * b).sum(-1) / norms, same)
    return found.clamp(-1.0, 1.0).numpy()


def find_first_difference(reference: list[int], cell: list[int]) -> int | None:
    """How many tokens are equal before the first that differs; null where none does."""
    pairs = enumerate(zip(reference, cell, strict=True))
    return next((place for place, (a, b) in pairs if a != b), None)
