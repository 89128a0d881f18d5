"""Speculative decoding as it is typed, and the workers that it needs."""

from __future__ import annotations

import msgspec
import pytest

from txtop.errors import UsageError
from txtop.plan import speculation
from txtop.plan.cell import Cell


@pytest.mark.parametrize(
    ("text", "lookup", "assistant"),
    [
        ("none", None, ""),
        ("prompt-lookup:10", 10, ""),
        ("prompt-lookup:100", 100, ""),
        ("assistant=owner/small", None, "owner/small"),
        ("assistant=/a b/c=d", None, "/a b/c=d"),
    ],
)
def test_what_is_typed_is_read(text: str, lookup: int | None, assistant: str) -> None:
    assert speculation.parse_speculative("--speculative", text) == text
    assert speculation.get_lookup(text) == lookup
    assert speculation.get_assistant(text) == assistant
    cell = Cell(id="c", model="m", speculative=text)
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell


@pytest.mark.parametrize(
    "text", ["", "lookup", "prompt-lookup", "prompt-lookup:0", "prompt-lookup:101", "assistant="]
)
def test_what_is_no_speculation_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="prompt-lookup:10") as refused:
        speculation.parse_speculative("--speculative", text)
    assert str(refused.value).startswith("--speculative cannot be")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            msgspec.json.encode({"id": "c", "model": "m", "speculative": text}), type=Cell
        )


def test_a_lookup_shares_the_weights_and_an_assistant_does_not() -> None:
    plain, lookup, small, other = (
        Cell(id="c", model="m", speculative=kind)
        for kind in ("none", "prompt-lookup:10", "assistant=small", "assistant=other")
    )
    assert plain.group == lookup.group
    assert len({plain.group, small.group, other.group}) == 3


def test_an_assistant_is_named_by_the_end_of_its_name() -> None:
    assert speculation.shorten_speculative("assistant=owner/small") == "assistant=small"
    assert speculation.shorten_speculative("prompt-lookup:10") == "prompt-lookup:10"
