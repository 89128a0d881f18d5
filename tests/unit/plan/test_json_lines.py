"""A line of JSON is parsed once, and refused for what parsers forgive."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from txtop.plan.json_lines import LineError, RepeatedFieldError, describe_fault, parse_line


class Line(msgspec.Struct):
    text: Annotated[str, Meta(min_length=1, max_length=3)]
    names: Annotated[list[str], Meta(min_length=2, max_length=3)] = []
    share: Annotated[float, Meta(ge=-1e9, le=1e9)] = 0.0
    answer: int | str = 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "text is missing"),
        ({"text": 1}, "text: a whole number in place of text"),
        ({"text": ""}, "text: empty"),
        ({"text": "abcd"}, "text: more than 3 characters"),
        ({"text": "a", "names": ["b"]}, "names: fewer than 2 entries"),
        ({"text": "a", "names": list("abcd")}, "names: more than 3 entries"),
        ({"text": "a", "names": ["a", True]}, "names[1]: true or false in place of text"),
        ({"text": "a", "share": 2e9}, "share: more than 1,000,000,000"),
        ({"text": "a", "share": -2e9}, "share: less than -1,000,000,000"),
        ({"text": "a", "answer": [1]}, "answer: a list in place of a whole number or text"),
        ({"text": "a", "answer": None}, "answer: null in place of a whole number or text"),
        ([1], "a list in place of an object"),
    ],
)
def test_the_fault_of_a_field_has_no_word_of_the_parser(fields: object, expected: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(fields, Line)
    assert describe_fault(refused.value) == expected


def test_a_line_is_the_value_that_the_library_reads() -> None:
    for value in ({"a": [1, {"b": None}], "c": "é 😀"}, [], 3, "x", 1.5, {}):
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
            assert parse_line(text) == value


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("", "expecting value at character 1"),
        ('{"text": ', "expecting value at character 10"),
        ('{"text" "a"}', "expecting ':' delimiter at character 9"),
        ("[" * 100_000, "it is nested too deep"),
        ('{"a": NaN}', "NaN is not a number of JSON"),
        ('{"a": ' + "9" * 5000 + "}", "a number has too many digits"),
        ('{"text": "a\\ud800"}', "half a surrogate pair (\\ud800 to \\udfff)"),
    ],
)
def test_what_is_no_json_says_why(text: str, cause: str) -> None:
    with pytest.raises(LineError) as refused:
        parse_line(text)
    assert str(refused.value) == cause


@pytest.mark.parametrize("text", ['{"a": 1, "b": 2, "a": 3}', '[{"b": [{"a": 1, "a": 1}]}]'])
def test_a_field_twice_is_named_at_any_depth(text: str) -> None:
    with pytest.raises(RepeatedFieldError, match=r"^a$"):
        parse_line(text)
