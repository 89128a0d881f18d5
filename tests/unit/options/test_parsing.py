"""Lists of numbers on the command line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtop.errors import UsageError
from txtop.options.parsing import format_numbers, parse_numbers, parse_percentage


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "8", "32"], [1, 8, 32]),
        (["1,8,32"], [1, 8, 32]),
        (["1,8", "32"], [1, 8, 32]),
        (["128-1024*2"], [128, 256, 512, 1024]),
        (["16-64+16"], [16, 32, 48, 64]),
        (["16-60+16"], [16, 32, 48]),
        (["1-4+1,8", "4"], [1, 2, 3, 4, 8]),
        (["5-5*2"], [5]),
        ([], []),
    ],
)
def test_what_is_understood(texts: list[str], expected: list[int]) -> None:
    assert parse_numbers("--batch-sizes", texts) == expected


@pytest.mark.parametrize(
    "word", ["", "x", "1,,2", "-3", "1.5", "8-1*2", "1-8*1", "1-8+0", "0-8*2", "1-8", "1-8/2", "٣"]
)
@pytest.mark.fault(39)
def test_anything_else_names_the_option(word: str) -> None:
    with pytest.raises(UsageError, match="--batch-sizes"):
        parse_numbers("--batch-sizes", [word])


def test_a_range_has_an_end() -> None:
    with pytest.raises(UsageError, match="over 10000 values"):
        parse_numbers("--new-tokens", ["1-999999999999+1"])


def test_nothing_asked_is_nothing() -> None:
    assert parse_numbers("--threads", None) is None


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20, unique=True))
def test_spaces_and_commas_say_the_same(values: list[int]) -> None:
    texts = list(map(str, values))
    assert (
        parse_numbers("--new-tokens", texts)
        == parse_numbers("--new-tokens", [",".join(texts)])
        == values
    )


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([1, 2, 4, 8], ["1-8*2"]),
        ([16, 32, 48, 64], ["16-64+16"]),
        ([1, 8, 64, 512], ["1-512*8"]),
        ([1, 2, 4], ["1", "2", "4"]),
        ([8, 4, 2, 1], ["8", "4", "2", "1"]),
        ([1, 2, 4, 9], ["1", "2", "4", "9"]),
        ([0, 1, 2, 3], ["0", "1", "2", "3"]),
        ([], []),
    ],
)
def test_even_steps_are_written_as_a_range(values: list[int], texts: list[str]) -> None:
    assert format_numbers(values) == texts


@given(
    st.lists(st.integers(0, 10**7), max_size=12, unique=True)
    | st.builds(lambda a, b, k: list(range(a, b, k)), *[st.integers(1, 99)] * 3)
    | st.builds(lambda a, k, n: [a * k**i for i in range(n)], *[st.integers(2, 9)] * 3)
)
def test_what_is_written_is_read_again(values: list[int]) -> None:
    assert parse_numbers("--threads", format_numbers(values)) == values


@pytest.mark.parametrize(("word", "share"), [("3%", 0.03), ("3 %", 0.03), ("0.03", 0.03)])
def test_a_share(word: str, share: float) -> None:
    assert parse_percentage("--margin", word) == pytest.approx(share)


@pytest.mark.parametrize("word", ["nan", "-1%", "1", "100%", "", "1e-3", "٣%"])
def test_no_share(word: str) -> None:
    with pytest.raises(UsageError):
        parse_percentage("--margin", word)
