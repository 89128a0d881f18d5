"""Requests drawn from a seed are the same for all cells compared, with the chosen lengths."""

from __future__ import annotations

import math
import statistics
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from txtop.plan.cell import Cell
from txtop.plan.requests import compute_max_tokens, draw_arrivals_ns, draw_requests
from txtop.plan.serving import LengthKind, Scenario, Serving

MANY = 20_000
PAIRS = ((7, 3), (500, 1), (7, 9))
DRAWN: tuple[LengthKind, ...] = ("uniform", "lognormal")
KINDS: tuple[LengthKind, ...] = ("fixed", *DRAWN, "pairs")
CLOSE = {"uniform": 0.02, "lognormal": 0.03}


def served(
    lengths: LengthKind,
    prompt: int = 128,
    new: int = 32,
    scenario: Scenario = "dynamic",
    pairs: tuple[tuple[int, int], ...] = PAIRS,
    **load: Any,
) -> Cell:
    return Cell(
        id="c001",
        model="gpt2",
        sequence_length=prompt,
        new_tokens=new,
        scenario=scenario,
        serving=Serving(lengths=lengths, pairs=pairs if lengths == "pairs" else (), **load),
    )


def tokens(cell: Cell, seed: int = 0, count: int = 50) -> list[tuple[int, int]]:
    return [
        (request.prompt_tokens, request.new_tokens) for request in draw_requests(cell, seed, count)
    ]


@pytest.mark.parametrize("lengths", KINDS)
def test_every_scenario_and_every_load_has_the_same_requests(lengths: LengthKind) -> None:
    first = draw_requests(served(lengths, rate=1.0), 5, 200)
    scenarios: tuple[Scenario, ...] = ("single", "dynamic", "continuous")
    server = {"single": {"max_batch": 1, "max_wait_ms": 0.0}}
    for scenario in scenarios:
        for load in ({"rate": 1.0}, {"rate": 77.5}, {"share": 0.9}, {"concurrency": 3}):
            cell = served(lengths, scenario=scenario, **server.get(scenario, {}), **load)
            assert draw_requests(cell, 5, 200) == first, cell.offered


@pytest.mark.parametrize("lengths", KINDS)
def test_a_precision_and_a_name_change_no_request(lengths: LengthKind) -> None:
    cell = served(lengths)
    other = Cell(
        id="c009",
        model="gpt2-medium",
        precision="bf16",
        sequence_length=128,
        new_tokens=32,
        threads=2,
        scenario="dynamic",
        serving=cell.serving,
    )
    assert draw_requests(other, 1, 100) == draw_requests(cell, 1, 100)


@pytest.mark.parametrize("lengths", DRAWN)
def test_another_seed_gives_others(lengths: LengthKind) -> None:
    cell = served(lengths)
    drawn = [tuple(tokens(cell, seed)) for seed in range(20)]
    assert len(set(drawn)) == 20
    assert drawn == [tuple(tokens(cell, seed)) for seed in range(20)]


@pytest.mark.parametrize("lengths", KINDS)
def test_more_requests_begin_as_fewer(lengths: LengthKind) -> None:
    cell = served(lengths)
    requests = draw_requests(cell, 3, 60)
    assert draw_requests(cell, 3, 17) == requests[:17]
    assert [request.index for request in requests] == list(range(60))
    assert draw_requests(cell, 3, 0) == []


def test_fixed_lengths_are_those_of_the_cell() -> None:
    assert tokens(served("fixed", 11, 4), count=9) == [(11, 4)] * 9


def test_pairs_come_in_their_order_over_and_over() -> None:
    assert tokens(served("pairs"), count=8) == [*PAIRS, *PAIRS, *PAIRS[:2]]
    assert tokens(served("pairs"), seed=9, count=8) == tokens(served("pairs"), seed=1, count=8)


@pytest.mark.parametrize("lengths", DRAWN)
@pytest.mark.parametrize(("prompt", "new"), [(128, 32), (1024, 256), (16, 8), (3, 500), (4, 3)])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_cells_lengths_are_the_mean(
    lengths: LengthKind, prompt: int, new: int, seed: int
) -> None:
    drawn = tokens(served(lengths, prompt, new), seed, MANY)
    assert statistics.fmean(p for p, _ in drawn) == pytest.approx(prompt, rel=CLOSE[lengths])
    assert statistics.fmean(n for _, n in drawn) == pytest.approx(new, rel=CLOSE[lengths])


@pytest.mark.parametrize(
    "lengths",
    [
        "uniform",
        pytest.param(
            "lognormal",
        ),
    ],
)
def test_a_mean_of_one_token_is_one(lengths: LengthKind) -> None:
    drawn = tokens(served(lengths, 1, 1), 0, MANY)
    assert statistics.fmean(p for p, _ in drawn) == pytest.approx(1, rel=CLOSE[lengths])
    assert statistics.fmean(n for _, n in drawn) == pytest.approx(1, rel=CLOSE[lengths])


def test_uniform_lengths_are_equally_often_from_one_to_twice_the_mean() -> None:
    drawn = tokens(served("uniform", 4, 2), 0, MANY)
    for values, most in (([p for p, _ in drawn], 7), ([n for _, n in drawn], 3)):
        counts = [values.count(value) for value in range(1, most + 1)]
        assert sum(counts) == MANY
        assert counts == pytest.approx([MANY / most] * most, rel=0.06)


def test_lognormal_lengths_have_their_sigma_and_their_median() -> None:
    # Prompts of this length round little; a cut at 4 times the mean takes 2 % of the sigma.
    logs = [math.log(p) for p, _ in tokens(served("lognormal", 10_000), 0, MANY)]
    assert statistics.stdev(logs) == pytest.approx(0.6, rel=0.03)
    assert statistics.median(logs) == pytest.approx(math.log(10_000) - 0.6**2 / 2, abs=0.02)


@pytest.mark.parametrize("lengths", DRAWN)
def test_prompts_and_answers_are_drawn_apart(lengths: LengthKind) -> None:
    prompts, news = zip(*tokens(served(lengths, 100, 100), 0, MANY), strict=True)
    assert abs(statistics.correlation(prompts, news)) < 0.03
    followers = statistics.correlation(prompts[:-1], prompts[1:])
    assert abs(followers) < 0.03


WHOLE = st.integers(1, 3000)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(KINDS),
    WHOLE,
    WHOLE,
    st.lists(st.tuples(WHOLE, WHOLE), min_size=1, max_size=20),
    st.integers(0, 10**6),
)
def test_no_request_is_longer_than_the_longest(
    lengths: LengthKind, prompt: int, new: int, pairs: list[tuple[int, int]], seed: int
) -> None:
    cell = served(lengths, prompt, new, pairs=tuple(pairs))
    most_prompt, most_new = compute_max_tokens(cell)
    for p, n in tokens(cell, seed, 200):
        assert 1 <= p <= most_prompt
        assert 1 <= n <= most_new


@pytest.mark.parametrize(
    ("lengths", "most"),
    [("fixed", (5, 3)), ("uniform", (9, 5)), ("lognormal", (20, 12)), ("pairs", (500, 9))],
)
def test_the_longest_is_reached(lengths: LengthKind, most: tuple[int, int]) -> None:
    cell = served(lengths, 5, 3)
    drawn = tokens(cell, 0, MANY)
    assert compute_max_tokens(cell) == most
    assert (max(p for p, _ in drawn), max(n for _, n in drawn)) == most


def test_a_full_batch_is_as_long_as_its_cell() -> None:
    assert compute_max_tokens(Cell(id="c001", model="gpt2", sequence_length=77, new_tokens=5)) == (
        77,
        5,
    )


def gaps(at: list[int]) -> list[int]:
    return [after - before for before, after in zip([0, *at], at, strict=False)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_another_rate_stretches_the_same_arrivals(seed: int) -> None:
    slow, fast = draw_arrivals_ns(2.0, seed, 1000), draw_arrivals_ns(4.0, seed, 1000)
    assert all(abs(a - 2 * b) <= 1 for a, b in zip(slow, fast, strict=True))
    assert slow[-1] > slow[0] > 0


@pytest.mark.parametrize("rate", [0.25, 3.0, 1500.0])
def test_as_many_arrive_a_second_as_were_asked_for(rate: float) -> None:
    at = draw_arrivals_ns(rate, 0, MANY)
    assert len(at) == MANY
    assert at == sorted(at)
    between = gaps(at)
    assert statistics.fmean(between) == pytest.approx(1e9 / rate, rel=0.02)
    # Of a Poisson process the gaps spread as wide as they are long.
    assert statistics.stdev(between) == pytest.approx(1e9 / rate, rel=0.03)


def test_arrivals_depend_on_the_seed_and_not_on_their_number() -> None:
    assert draw_arrivals_ns(2.0, 1, 10) == draw_arrivals_ns(2.0, 1, 100)[:10]
    assert len({tuple(draw_arrivals_ns(2.0, seed, 10)) for seed in range(20)}) == 20
    assert draw_arrivals_ns(2.0, 1, 0) == []
