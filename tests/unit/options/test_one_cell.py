"""The one cell that `fit`, `tune` and `explain` begin with: what is refused, and in which words."""

from __future__ import annotations

import pytest

from txtop.errors import UsageError
from txtop.options.explain_options import NO_EXPLAIN_RULES, build_explain_plan
from txtop.options.one_cell import build_checked_cell


@pytest.mark.parametrize(
    ("knobs", "reason"),
    [
        ({"parallel": "tp=2"}, "over several devices are not explained"),
        ({"speculative": "prompt-lookup:10"}, "speculative decoding has no one size"),
    ],
)
def test_explain_refuses_steps_that_have_no_one_size_or_place(
    knobs: dict[str, str], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        build_explain_plan("gpt2", knobs, NO_EXPLAIN_RULES)


def test_a_length_beyond_the_context_is_refused_unless_a_search_sets_it() -> None:
    with pytest.raises(UsageError, match="longer than the context"):
        build_checked_cell("gpt2", {"sequence_length": 4096})
    cell = build_checked_cell("gpt2", {"sequence_length": 4096}, grown=["sequence_length"])
    assert cell.sequence_length == 4096
