"""Badges of fidelity: bands, floors, and what has none."""

from __future__ import annotations

import pytest
from scipy import stats as oracle

from txtop.plan import references
from txtop.plan.cell import Cell
from txtop.plan.matrix import expand_matrix
from txtop.protocol.events import Fidelity
from txtop.state import fidelity
from txtop.stats import fidelity_bands


@pytest.mark.parametrize(
    ("kld", "top1", "band"),
    [
        (0.001, 0.99, "lossless-like"),
        (0.0011, 0.999, "minor"),
        (0.0001, 0.98, "minor"),
        (0.01, 0.96, "minor"),
        (0.011, 0.99, "visible"),
        (0.001, 0.95, "visible"),
        (0.1, 0.85, "visible"),
        (0.11, 0.99, "broken"),
        (0.0, 0.84, "broken"),
        # METHOD, "Precision must be what it says": SmolLM2-135M against fp32.
        (0.0015, 0.967, "minor"),
        (0.0061, 0.92, "visible"),
        (1.09, 0.375, "broken"),
    ],
)
def test_the_worse_of_two_figures_decides(kld: float, top1: float, band: str) -> None:
    assert fidelity_bands.classify_tokens(kld, top1) == band


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (3, 7), (1_980, 2_048)])
def test_wilson_agrees_with_scipy(successes: int, n: int) -> None:
    expected = oracle.binomtest(successes, n).proportion_ci(method="wilson")
    assert fidelity_bands.compute_wilson_interval(successes, n) == pytest.approx(
        (expected.low, expected.high)
    )
    assert fidelity_bands.compute_wilson_interval(0, 0) is None


def found(**changed: object) -> Fidelity:
    known: dict[str, object] = {"weights": "pretrained", "positions": 1000, "kld": 0.004}
    known |= {"top1": 990, "kld_stderr": 0.001, "floor": 0.0, **changed}
    return Fidelity(t_ns=0, cell="B", reference="A", **known)  # type: ignore[arg-type]


def test_badges_and_their_words() -> None:
    assert fidelity.format_badge_forms(found()) == ("≈ minor 0.004", "≈ minor")
    assert fidelity.format_badge_forms(found(kld=0.0, top1=1000)) == ("✓ lossless-like",)
    assert fidelity.format_badge_forms(found(kld=1.09, top1=375)) == ("✗ broken 1.1", "✗ broken")
    assert fidelity.format_badge_forms(found(weights="random")) == (
        "unknown (random weights)",
        "unknown (rand)",
    )
    assert fidelity.format_badge_forms(found(same_model=False)) == ("another model",)
    assert fidelity.format_badge_forms(found(failed="no room")) == ("unmeasured",)
    assert fidelity.format_badge_forms(None) == ("unmeasured",)
    cosines = found(kld=None, top1=None, cosine_tokens=0.99995, cosine_pooled=0.9995)
    assert fidelity.compute_badge(cosines) == "minor"


def test_nan_is_invalid_whatever_the_weights_are() -> None:
    for weights in ("random", "pretrained"):
        nan = found(weights=weights, invalid=3, kld=None, top1=None)
        assert fidelity.format_badge_forms(nan) == ("✗ INVALID",)
        assert "3 NaN or Inf" in fidelity.build_fidelity_notes(nan)[-1]


def test_nothing_below_the_floor_is_reported() -> None:
    assert fidelity.get_kld_above_floor(found(kld=9e-7)) is None
    assert fidelity.get_kld_above_floor(found(kld=0.004, floor=0.005)) is None
    assert fidelity.get_kld_above_floor(found(kld=0.004, floor=0.003)) == 0.004
    assert "floor of 5e-03" in fidelity.build_fidelity_notes(found(kld=0.004, floor=0.005))[0]


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
        references.find_speed_references(cells(precisions=["fp32"], compiles=["none", "default"]))
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
