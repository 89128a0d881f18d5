"""The expansion of lists of values into cells."""

from __future__ import annotations

import pytest

from txtop.plan.matrix import expand_matrix


def test_a_value_alone_is_a_list_of_one_and_a_knob_without_any_keeps_its_default() -> None:
    (cell,) = expand_matrix(models="gpt2", batch_sizes=[8], threads=None)
    assert (cell.id, cell.model, cell.batch_size, cell.threads) == ("c001", "gpt2", 8, None)
    assert cell.precision == "fp32"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("batch_size", "did you mean batch_sizes"), ("colour", "knobs: models, precisions")],
)
def test_a_name_that_no_knob_has_is_refused(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=f"no knob '{name}': {hint}"):
        expand_matrix(models=["gpt2"], **{name: [1]})
