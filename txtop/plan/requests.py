"""The requests of a serving cell, drawn from the seed: arrival times and lengths."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from txtop.plan.cell import Cell
from txtop.plan.serving import Serving
from txtop.units import NS_PER_S

# Of the logarithm of a length; docs/serving.md names both numbers.
SIGMA = 0.6
MAX_LENGTH_FACTOR = 4


@dataclass(frozen=True)
class RequestShape:
    """One request: its number, its prompt tokens and the new tokens it asks for."""

    index: int
    prompt_tokens: int
    new_tokens: int


def draw_requests(cell: Cell, seed: int, count: int) -> list[RequestShape]:
    """Return the first `count` requests of a serving cell.

    They depend on the cell's lengths and on the seed alone, so they are the same for every
    scenario, precision and rate.
    """
    assert cell.serving is not None
    drawn = _draw_lengths(cell, cell.serving, random.Random(f"lengths {seed}"))
    return [RequestShape(i, *next(drawn)) for i in range(count)]


def _draw_lengths(
    cell: Cell, serving: Serving, random_: random.Random
) -> Iterator[tuple[int, int]]:
    prompt, new = cell.sequence_length, cell.new_tokens
    if serving.pairs:
        while True:
            yield from serving.pairs
    while True:
        if serving.lengths in ("fixed", "pairs"):
            yield prompt, new
        elif serving.lengths == "uniform":
            yield random_.randint(1, 2 * prompt - 1), random_.randint(1, 2 * new - 1)
        else:
            yield _draw_lognormal(random_, prompt), _draw_lognormal(random_, new)


def _draw_lognormal(random_: random.Random, mean: int) -> int:
    """Draw a length of the given mean, at most `MAX_LENGTH_FACTOR` times the mean.

    The bound lets a model's positions be checked before it is loaded. One token stays one.
    """
    if mean == 1:
        return 1
    drawn = random_.lognormvariate(math.log(mean) - SIGMA**2 / 2, SIGMA)
    return max(1, min(round(drawn), MAX_LENGTH_FACTOR * mean))


def has_mixed_lengths(cell: Cell) -> bool:
    """Return True if the prompts of a serving cell may differ in length."""
    serving = cell.serving
    if cell.prompts is not None:
        return True
    if serving is None:
        return False
    if serving.pairs:
        return len({prompt for prompt, _ in serving.pairs}) > 1
    return serving.lengths not in ("fixed", "pairs") and cell.sequence_length > 1


def compute_max_tokens(cell: Cell) -> tuple[int, int]:
    """Return the most (prompt, new) tokens that a request of the cell may have.

    Of prompts that no tokenizer has read yet only `sequence_length` is there.
    """
    serving = cell.serving
    prompt, new = cell.sequence_length, cell.new_tokens
    if cell.prompts is not None:
        return cell.prompts.tokens.most if cell.prompts.tokens else prompt, new
    if serving is None or serving.lengths == "fixed":
        return prompt, new
    if serving.pairs:
        return max(p for p, _ in serving.pairs), max(n for _, n in serving.pairs)
    if serving.lengths == "uniform":
        return 2 * prompt - 1, 2 * new - 1
    if serving.lengths == "lognormal":
        return MAX_LENGTH_FACTOR * prompt, MAX_LENGTH_FACTOR * new
    return prompt, new


def draw_arrivals_ns(rate: float, seed: int, count: int) -> list[int]:
    """Return `count` times of a Poisson process of `rate` per second, in ns from its start.

    At another rate the times are the same, stretched: loads of one sweep can be compared.
    """
    random_ = random.Random(f"arrivals {seed}")
    at, arrivals = 0.0, []
    for _ in range(count):
        at += random_.expovariate(1.0)
        arrivals.append(round(at / rate * NS_PER_S))
    return arrivals
