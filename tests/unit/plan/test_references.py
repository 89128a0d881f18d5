"""The cell that another is compared with."""

from __future__ import annotations

from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.matrix import expand_matrix


def cells(**lists: object) -> tuple[Cell, ...]:
    chosen: dict[str, object] = {
        "models": ["gpt2"],
        "precisions": ["bf16", "fp32"],
        "attention": ["sdpa"],
        "batch_sizes": [1],
        "sequence_lengths": [8],
        "new_tokens": [4],
        **lists,
    }
    return expand_matrix(**chosen)  # type: ignore[arg-type]


def test_the_most_precise_cell_of_the_same_work_is_the_reference() -> None:
    plan = cells(batch_sizes=[1, 2], precisions=["int8", "bf16", "fp16"])
    best = references.find_speed_references(plan)
    assert all(best[c.id].precision == "fp16" for c in plan)
    assert all(best[c.id].batch_size == c.batch_size for c in plan)
    assert references.find_speed_references(cells(precisions=["bf16"])) == {}
    assert (
        references.find_speed_references(cells(precisions=["fp32"], compile=["none", "default"]))
        == {}
    )


def test_outputs_are_compared_once_for_all_batches() -> None:
    plan = cells(batch_sizes=[1, 2], attention=["sdpa", "eager"])
    best = references.find_output_references(plan)
    assert {c.precision for c in plan if c.id in best} == {"bf16"}
    for cell in plan:
        if cell.id in best:
            assert best[cell.id].precision == "fp32" and best[cell.id].attention == cell.attention
    same = [c for c in plan if c.precision == "bf16" and c.attention == "eager"]
    assert references.has_same_output(*same) and same[0].batch_size != same[1].batch_size
