"""Names of cells in a narrow column: what tells them apart stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtop.ui.drawing.cell_names import BETWEEN, shorten_names

MODELS, PRECISIONS = ("…Instruct", "…GPTQ"), ("int8:bnb", "gptq:int4-g64")
NAMES = [
    BETWEEN.join((model, precision, cache))
    for model, precision in zip(MODELS, PRECISIONS, strict=True)
    for cache in ("dynamic cache", "quantized:int4 cache")
]


@pytest.mark.parametrize(
    ("width", "first", "last"),
    [
        (
            60,
            "…Instruct · int8:bnb · dynamic cache",
            "…GPTQ · gptq:int4-g64 · quantized:int4 cache",
        ),
        (36, "…Instruct · int8:bnb · dynamic…", "…GPTQ · gptq:int4-g64 · quantized…"),
        (30, "…Instruct · int8… · dynamic…", "…GPTQ · gptq… · quantized…"),
        (18, "int8… · dynamic…", "gptq… · quantized…"),
    ],
)
def test_what_the_first_words_tell_and_then_what_other_parts_tell_is_cut(
    width: int, first: str, last: str
) -> None:
    short = shorten_names(NAMES, width, "…")
    assert (short[0], short[-1]) == (first, last)


WORDS = st.sampled_from(["a", "dynamic cache", "dynamic", "int8:bnb", "int8:torch", "…L-4", "b 1"])


@given(st.lists(st.tuples(WORDS, WORDS, WORDS), min_size=1, max_size=6), st.integers(0, 40))
def test_names_that_differ_still_do(parts: list[tuple[str, str, str]], width: int) -> None:
    names = [BETWEEN.join(own) for own in parts]
    short = shorten_names(names, width, "…")
    assert len(short) == len(names) and len(set(short)) == len(set(names))
    assert max(map(len, short)) <= max(map(len, names))


def test_names_of_different_parts_are_left_to_the_caller() -> None:
    assert shorten_names(["a · b", "single 1 client"], 4, "…") == ["a · b", "single 1 client"]
