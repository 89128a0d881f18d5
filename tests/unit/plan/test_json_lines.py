"""A line of JSON is parsed once, and refused for what parsers forgive."""

from __future__ import annotations

import json

import pytest

from txtop.plan.json_lines import LineError, RepeatedFieldError, parse_line


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
