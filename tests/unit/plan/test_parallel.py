"""A model over several devices as it is typed, and the workers that it needs."""

from __future__ import annotations

import msgspec
import pytest

from txtop.errors import UsageError
from txtop.plan import parallel
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.labels import format_short_label


@pytest.mark.parametrize(
    ("text", "ranks"), [("none", 1), ("pp", 1), ("auto", 1), ("tp=2", 2), ("tp=64", 64)]
)
def test_what_is_typed_is_read(text: str, ranks: int) -> None:
    assert parallel.parse_parallel("--parallel", text) == text
    cell = Cell(id="c", model="m", parallel=text)
    assert cell.ranks == ranks
    assert msgspec.json.decode(msgspec.json.encode(cell), type=Cell) == cell


@pytest.mark.parametrize("text", ["", "tp", "tp=1", "tp=0", "tp=65", "tp=2\n", "tp=02", "ep=2"])
def test_what_is_none_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UsageError, match="tp=2") as refused:
        parallel.parse_parallel("--parallel", text)
    assert str(refused.value).startswith("--parallel cannot be")
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(
            msgspec.json.encode({"id": "c", "model": "m", "parallel": text}), type=Cell
        )


def test_ranks_are_a_load_of_their_own_and_stand_in_the_label() -> None:
    one, two = Cell(id="c", model="m"), Cell(id="d", model="m", parallel="tp=2")
    assert one.group != two.group
    assert format_short_label(two).endswith("tp=2") and "tp" not in format_short_label(one)
    assert BY_FIELD["parallel"].call(one) == "one device"
