"""The roofline: the work per second that memory bandwidth and arithmetic units allow at most.

Williams, Waterman and Patterson, "Roofline", CACM 52(4), 2009. Bytes and FLOPs are those that the
mathematics of the model needs; copies that an implementation makes on top lower the share. A
multiplication and its addition are two FLOPs. docs/method.md, "Roofline", has all formulas.
"""

from __future__ import annotations

from typing import Literal

from txtop.stats.summary import Summary

Bound = Literal["memory bandwidth", "arithmetic", "neither"]
NEITHER_BELOW = 25.0
"""Percent of the lower ceiling below which a cell counts as bound by neither."""
ACCOUNTING_ERROR = "accounting error: over 100 %"
CAUSAL, FULL = 2, 4


def compute_mean_context(prompt: int, new_tokens: int) -> float:
    """Return the mean number of cached positions that a decode step reads.

    Step j of OSL - 1 reads ISL + j - 1, so the mean is ISL + (OSL - 2) / 2.
    """
    return prompt + (new_tokens - 2) / 2


def compute_kv_bytes(layers: int, kv_heads: int, head_dim: int, value_bytes: int) -> int:
    """Return the bytes of one position of one sequence in the KV cache, over all layers."""
    return 2 * layers * kv_heads * head_dim * value_bytes


def compute_decode_bytes(
    *, weights: float, row: float, batch: int, context: float, position: float
) -> float:
    """Return the bytes of a decode step.

    They are the `weights` once and, for each sequence, its `row` of the embeddings, `context`
    cached positions read, and one written. `position` is the size of a cached position
    (`compute_kv_bytes`).
    """
    return weights + batch * (row + context * position + position)


def compute_decode_flops(
    *, parameters: float, batch: int, context: float, layers: int, attention: int
) -> float:
    """Return the FLOPs of a decode step: batch x (2N + 4 x layers x d_attn x context).

    The factor 4 is for the one query of a sequence, which meets every key and every value.
    `attention` is d_attn = heads x head_dim.
    """
    return batch * (2.0 * parameters + 4.0 * layers * attention * context)


def compute_prompt_flops(
    *,
    position_parameters: float,
    sequence_parameters: float,
    batch: int,
    length: int,
    layers: int,
    attention: int,
    square: int,
) -> float:
    """Return the FLOPs of a prefill or of an encoder's forward pass.

    They are batch x ISL x (2N + c x layers x d_attn x ISL), where N = `position_parameters`, the
    parameters that every position is multiplied with, and `attention` is d_attn. c = `square` is
    CAUSAL, 2, where a position attends to those before it (half of the square: Kaplan et al. 2020,
    table 1), and FULL, 4, in an encoder. `sequence_parameters` are used once a sequence (the output
    head, of which generate() asks the last position alone; a pooler).
    """
    per_position = 2.0 * position_parameters + float(square) * layers * attention * length
    return batch * (length * per_position + 2.0 * sequence_parameters)


def compute_ceiling(work: float, demand: float, peak: float) -> float | None:
    """Return the rate of `work` that a peak allows, or None if `demand` or `peak` is 0.

    `demand` is the bytes or FLOPs that `work` takes, `peak` those that the device does per second.
    """
    return work * peak / demand if demand > 0 and peak > 0 else None


def classify_bound(memory: float, arithmetic: float, share: float) -> Bound:
    """Return the lower of two ceilings, or "neither" if under 25 % of it is reached.

    `share` is the percentage of the lower ceiling that is reached.
    """
    if share < NEITHER_BELOW:
        return "neither"
    return "memory bandwidth" if memory <= arithmetic else "arithmetic"


def compute_utilisation(rate: Summary, ceiling: float, note: str) -> Summary:
    """Return `rate` as a percentage of its `ceiling`, interval included.

    MBU = bytes / TPOT / peak bandwidth, and MFU likewise. Above 100 % a note replaces the number.
    """

    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * value / ceiling

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
