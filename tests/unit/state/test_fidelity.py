"""Badges of fidelity: bands, floors, and comparisons without a badge."""

from __future__ import annotations

import msgspec
import pytest

from support import streams, ui_events
from txtop.protocol import events
from txtop.protocol.events import AnyEvent, Fidelity, ModelLoaded
from txtop.state import fidelity
from txtop.state.fold import fold_all
from txtop.state.quality import Quality, get_quality
from txtop.state.quality_cost import build_quality_cost


def found(**changed: object) -> Fidelity:
    fields: dict[str, object] = {"weights": "pretrained", "positions": 1000, "kld": 0.004}
    fields |= {"top1": 990, "kld_stderr": 0.001, "floor": 0.0, "cell": "B", "reference": "A"}
    fields |= changed
    return Fidelity(t_ns=0, **fields)  # type: ignore[arg-type]


def test_badges_and_their_words() -> None:
    assert fidelity.format_badge_forms(found()) == ("≈ minor 0.004", "≈ minor")
    assert fidelity.format_badge_forms(found(kld=0.0, top1=1000)) == ("✓ lossless-like",)
    assert fidelity.format_badge_forms(found(kld=1.09, top1=375)) == ("✗ broken 1.1", "✗ broken")
    assert fidelity.format_badge_forms(found(weights="random")) == (
        "not measurable: random weights",
        "random weights",
    )
    assert fidelity.format_badge_forms(found(same_model=False)) == ("another model",)
    assert fidelity.format_badge_forms(found(failed="no room")) == (
        "quality not checked",
        "not checked",
    )
    assert fidelity.format_badge_forms(None) == ("quality not checked", "not checked")
    cosines = found(kld=None, top1=None, cosine_tokens=0.99995, cosine_pooled=0.9995)
    assert fidelity.compute_badge(cosines) == "minor"


def test_an_encoder_that_finds_all_texts_equally_similar_is_broken() -> None:
    figures: dict[str, object] = {"kld": None, "top1": None, "cosine_tokens": 0.9999}
    lost = found(**figures, sentences=64, similarity_rms=0.4)
    assert fidelity.format_badge_forms(lost) == ("✗ broken",)
    assert build_quality_cost(Quality(lost)).figures == ("all sentences equally similar",)
    # Two that do so alike differ in nothing, and two texts have no order anyway.
    for same in ({"sentences": 64, "similarity_rms": 0.0}, {"sentences": 2}):
        assert fidelity.compute_badge(found(**figures, **same)) == "unmeasured"


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


def test_an_encoder_goes_by_the_similarities_of_its_sentences_not_by_its_tokens() -> None:
    encoder = found(kld=None, top1=None, cosine_tokens=0.907, cosine_pooled=0.95)
    assert fidelity.compute_badge(encoder) == "broken"
    newer = found(
        kld=None,
        top1=None,
        cosine_tokens=0.907,
        cosine_pooled=0.95,
        similarity_rank=0.99999,
        sentences=64,
    )
    assert fidelity.compute_badge(newer) == "lossless-like"
    assert fidelity.format_badge_forms(newer)[0] == "✓ lossless-like 1.0000"
    # int8 of a MiniLM, which loses a point: sessions/minilm-task.
    minilm = found(kld=None, top1=None, cosine_tokens=0.907, similarity_rank=0.9468, sentences=64)
    assert fidelity.compute_badge(minilm) == "minor"
    # Of a model with a head its output counts, too.
    headed = found(
        kld=None, top1=None, cosine_tokens=1.0, cosine_pooled=0.95, similarity_rank=0.99999,
        pooled_by="head", sentences=64,
    )  # fmt: skip
    assert fidelity.compute_badge(headed) == "broken"


def test_few_sentences_are_no_badge() -> None:
    few = found(kld=None, top1=None, cosine_tokens=0.9257, similarity_rank=0.5, sentences=3)
    assert fidelity.compute_badge(few) == "unmeasured"
    assert "3 texts are too few" in fidelity.build_fidelity_notes(few)[-1]
    one = found(kld=None, top1=None, cosine_tokens=0.9257, sentences=2)
    assert fidelity.compute_badge(one) == "unmeasured"


def test_the_figure_beside_the_badge_is_the_one_that_decides() -> None:
    assert fidelity.format_badge_forms(found(kld=0.001, top1=930))[0] == "▲ visible top-1 93.0 %"
    assert fidelity.format_badge_forms(found(kld=0.05, top1=930))[0] == "▲ visible 0.05"


RANDOM = ("not measurable: random weights", "random weights")
UNCHECKED = ("quality not checked", "not checked")
PAIR = {"cell": "c002", "reference": "c001"}


@pytest.mark.parametrize(
    ("models", "weights", "told", "forms"),
    [
        (("gpt2",), "auto", [], UNCHECKED),
        (("gpt2",), "random", [], RANDOM),
        (("gpt2",), "auto", [streams.load(0, "c003")], RANDOM),
        (("gpt2",), "auto", [streams.load(0, "c001")], RANDOM),
        (("gpt2",), "auto", [streams.load(0, "c003", weights="partial")], UNCHECKED),
        (("gpt2",), "auto", [streams.load(0, "c003", weights="pretrained")], UNCHECKED),
        # Resumed once the files were there.
        (
            ("gpt2",),
            "auto",
            [streams.load(0, "c001"), streams.load(0, "c003", weights="pretrained")],
            UNCHECKED,
        ),
        (("gpt2",), "auto", [found(**PAIR, weights="random")], RANDOM),
        (("gpt2",), "auto", [found(**PAIR)], UNCHECKED),
        (("gpt2",), "auto", [found(**PAIR, weights="random", failed="no room")], UNCHECKED),
        (("gpt2", "distilgpt2"), "auto", [streams.load(0, "c001")], UNCHECKED),
        (("gpt2", "distilgpt2"), "auto", [streams.load(0, "c003")], RANDOM),
    ],
)
def test_random_weights_are_not_measurable_compared_or_not(
    models: tuple[str, ...],
    weights: str,
    told: list[ModelLoaded | Fidelity],
    forms: tuple[str, ...],
) -> None:
    """The third cell is compared with nothing: its session tells what its weights are."""
    names = (models[0], models[0], models[-1])
    precisions = ("fp32", "bf16", "int8")
    (like,) = streams.plan(models[:1]).cells
    cells = tuple(
        msgspec.structs.replace(like, id=f"c{i:03}", model=model, precision=p, weights=weights)
        for i, (model, p) in enumerate(zip(names, precisions, strict=True), 1)
    )
    plan = msgspec.structs.replace(streams.plan(), cells=cells)
    lines: list[AnyEvent] = [ui_events.header(plan)]
    for event in told:
        lines += [events.CellStarted(t_ns=0, cell=event.cell, worker="w"), event]
    state = fold_all(lines)
    assert get_quality(state, "c003").forms == forms


def test_a_failed_comparison_of_random_weights_is_not_measurable_either() -> None:
    assert Quality(found(failed="no room"), random=True).forms == RANDOM
    assert Quality(found(invalid=3), random=True).badge == "INVALID"
