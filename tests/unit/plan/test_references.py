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


def test_a_quantised_cache_is_compared_with_an_exact_one_at_its_length() -> None:
    plan = cells(
        precisions=["fp32", "bf16"],
        cache=["quantized:int4", "static", "dynamic"],
        sequence_lengths=[8, 16],
    )
    best = references.find_output_references(plan)
    exact = {c.id for c in plan if c.precision == "fp32" and not c.quantizes_cache}
    assert best.keys() == {c.id for c in plan} - exact
    assert all(not b.quantizes_cache and b.precision == "fp32" for b in best.values())
    bf16 = [c for c in plan if c.precision == "bf16"]
    short, long = (c for c in bf16 if c.quantizes_cache)
    assert not references.has_same_output(short, long), "the length of the prompt matters"
    assert references.has_same_output(*[c for c in bf16 if c.cache == "static"])
    speeds = references.find_speed_references(plan)
    assert {speeds[c.id].cache for c in plan if c.quantizes_cache} == {"dynamic"}
    assert {speeds[c.id].cache for c in plan if c.cache == "static"} == {"static"}


def test_the_most_precise_of_two_quantised_caches_is_the_reference() -> None:
    plan = cells(precisions=["fp32"], cache=["quantized:int4", "quantized:fp8", "quantized:int8"])
    assert references.find_most_precise(plan).cache == "quantized:int8"


def test_another_speculation_is_another_step_with_the_same_output() -> None:
    plain, lookup = cells(precisions=["fp32"], speculative=["none", "prompt-lookup:10"])
    assert references.has_same_output(plain, lookup)
    assert not references.has_same_step(plain, lookup)
