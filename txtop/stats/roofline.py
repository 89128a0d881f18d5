"""The roofline: how much work a second a memory and its arithmetic units allow at most.

Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009. Bytes and FLOPs are those that the
mathematics of the model needs; copies that an implementation makes on top of them lower the share.
A multiplication and its addition are two FLOPs.
"""

from __future__ import annotations

from typing import Literal

from txtop.stats.summary import Summary

Bound = Literal["memory bandwidth", "arithmetic", "neither"]
NEITHER_BELOW = 25.0
"""Percent of the nearer roof under which neither of the two says what takes the time."""
ACCOUNTING_ERROR = "accounting error: over 100 %"
CAUSAL, FULL = 2, 4


def compute_mean_context(prompt: int, new_tokens: int) -> float:
    """Positions that a decode step finds in the cache, the mean over all steps: step j of OSL - 1
    finds ISL + j - 1, which is ISL + (OSL - 2) / 2."""
    return prompt + (new_tokens - 2) / 2


def compute_kv_bytes(layers: int, kv_heads: int, head_dim: int, value_bytes: int) -> int:
    """Bytes of one position of one sequence in the KV cache: keys and values of every layer."""
    return 2 * layers * kv_heads * head_dim * value_bytes


def compute_decode_bytes(
    *, weights: float, row: float, batch: int, context: float, position: float
) -> float:
    """Bytes of a decode step: the weights once, and for each sequence its rows of the embeddings,
    `context` positions of the cache read and one written (`position` is `compute_kv_bytes`)."""
    return weights + batch * (row + context * position + position)


def compute_decode_flops(
    *, parameters: float, batch: int, context: float, layers: int, attention: int
) -> float:
    """FLOPs of a decode step: batch x (2N + 4 x layers x d_attn x context), for the one query of
    a sequence meets every key and every value; `attention` is d_attn, heads x head_dim."""
    return batch * (2.0 * parameters + 4.0 * layers * attention * context)


def compute_prompt_flops(
    *, each: float, once: float, batch: int, length: int, layers: int, attention: int, square: int
) -> float:
    """FLOPs of a prefill or of an encoder's forward pass: batch x ISL x (2N + c x layers x d_attn
    x ISL), N being the parameters that `each` position is multiplied with.

    c = `square` is CAUSAL, 2, where a position attends to those before it (half of the square:
    Kaplan et al. 2020, table 1), and FULL, 4, in an encoder. What is done `once` a sequence
    (the output head, of which generate() asks the last position alone; a pooler) is added once.
    """
    per_position = 2.0 * each + float(square) * layers * attention * length
    return batch * (length * per_position + 2.0 * once)


def compute_ceiling(work: float, demand: float, peak: float) -> float | None:
    """`work` a second where it costs `demand` bytes or FLOPs and there are `peak` of them a second;
    null where one of the two is nothing."""
    return work * peak / demand if demand > 0 and peak > 0 else None


def classify_bound(memory: float, arithmetic: float, share: float) -> Bound:
    """Which of two ceilings is the lower, where percent enough (`share`) of it are reached."""
    if share < NEITHER_BELOW:
        return "neither"
    return "memory bandwidth" if memory <= arithmetic else "arithmetic"


def compute_utilisation(rate: Summary, most: float, note: str) -> Summary:
    """A rate as percent of its ceiling: MBU = bytes / TPOT / peak bandwidth, and MFU likewise. Its
    interval is that of the rate; above 100 % there is a note in place of the number."""

    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * value / most

    mean = percent(rate.mean)
    if mean is None:
        return Summary(unit="%", n=0, notes=list(rate.notes))
    if mean > 100:
        return Summary(unit="%", n=rate.n, notes=[ACCOUNTING_ERROR, note])
    low, high = map(percent, rate.ci95 or (None, None))
    return Summary(
        unit="%",
        n=rate.n,
        mean=mean,
        median=percent(rate.median),
        min=percent(rate.min),
        max=percent(rate.max),
        ci95=(low, high) if low is not None and high is not None else None,
        notes=[note],
    )
