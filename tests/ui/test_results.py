"""The outcome of a matrix: it names the fastest with what it costs, and what has no number."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from support import streams
from support.paths import SERVING_RECORDING
from support.screen_text import lines
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.results import ResultLine, ResultsView, build_results
from txtop.ui.models.view import View, build_view
from txtop.ui.panels.header import render_header
from txtop.ui.panels.results import render_results

PRECISIONS = ("fp32", "bf16", "int8", "fp16")
PLAN = Plan(
    cells=tuple(
        Cell(id=f"c{i}", model="gpt2", precision=precision, new_tokens=4)
        for i, precision in enumerate(PRECISIONS)
    ),
    iterations=12,
    warmup=1,
)
SLOWER = {"c0": 4, "c1": 2, "c2": 1}


def slow(event: AnyEvent, times: int) -> AnyEvent:
    """Return the event with its durations that many times as long."""
    if isinstance(event, events.TokenTimings):
        return msgspec.structs.replace(event, gaps_ns=[gap * times for gap in event.gaps_ns])
    if isinstance(event, events.Iteration):
        ttft_ns = None if event.ttft_ns is None else event.ttft_ns * times
        return msgspec.structs.replace(event, e2e_ns=event.e2e_ns * times, ttft_ns=ttft_ns)
    return event


def session(*, quality: float | None = 1.1, ended: bool = True) -> list[AnyEvent]:
    """Return a run of which fp16 was refused; int8 is fastest and `quality` nats from fp32."""
    *made, end = streams.stream(PLAN, steady=True)
    made = [slow(e, SLOWER.get(getattr(e, "cell", ""), 1)) for e in made]
    made = [e for e in made if getattr(e, "cell", "") != "c3"]
    refused = events.CellRejected(t_ns=made[-1].t_ns, cell="c3", reason="no fp16 on this machine")
    made.append(refused)
    if quality is not None:
        made += [
            events.Fidelity(
                t_ns=made[-1].t_ns, cell=cell, reference="c0", weights="pretrained",
                same_model=True, positions=100, kld=kld, top1=99 if kld < 0.001 else 40,
            )
            for cell, kld in (("c1", 0.0005), ("c2", quality))
        ]  # fmt: skip
    return [*made, end] if ended else made


def results(made: list[AnyEvent]) -> ResultsView:
    state, cache = fold_all(made), FrameCache()
    # Final figures come a cell a frame.
    view = [build_view(state, cache=cache) for _ in range(len(PLAN.cells) + 1)][-1]
    assert view.results is not None and not view.late
    return view.results


def test_the_fastest_carries_its_cost_and_each_precision_has_its_best() -> None:
    view = results(session())
    assert (view.word, view.name, view.ratio) == ("fastest", "int8", "4.00x fp32")
    assert view.remarks[0] == "but its output is BROKEN ✗" and view.number_role == "muted"
    by_label = {line.label: line for line in view.lines}
    assert {"best fp32", "best bf16", "best int8", "refused"} <= by_label.keys()
    assert by_label["best bf16"].ratio == "2.00x fp32"
    assert by_label["best bf16"].remarks[0].startswith("and its output is lossless")
    assert by_label["refused"].value == "1 cell" and "no fp16" in by_label["refused"].name
    assert view.counts == "3 of 4 cells measured"


def test_a_sound_output_keeps_the_colour_and_an_unknown_one_is_called_that() -> None:
    assert results(session(quality=0.0005)).number_role == "accent-a"
    unknown = results(session(quality=None))
    forms = "output not measurable: random weights", "random weights"
    assert unknown.remarks[:2] == forms
    best = next(line for line in unknown.lines if line.label == "best bf16")
    assert (best.ratio, best.remarks[:2]) == ("2.00x fp32", forms)
    # The speed stands with its badge or not at all.
    for width in range(40, 120):
        drawn = "\n".join(lines(render_results(unknown, Area(width, 17, Glyphs(), True)))[5:])
        assert ("2.00x" in drawn) == ("random weights" in drawn)


def test_another_within_the_interval_takes_the_colour() -> None:
    made = [
        slow(e, 4) if getattr(e, "cell", "") in ("c1", "c2") else e
        for e in streams.stream(PLAN, steady=True)
    ]
    view = results(made)
    assert view.number_role == "text" and view.why[0].startswith("not clearly the fastest: ")
    # The title does not claim what the line under it doubts.
    assert view.word == "highest rate"


@pytest.mark.parametrize("width", range(56, 120, 4))
def test_an_output_that_differs_is_marked_beside_its_rate(width: int) -> None:
    rows = lines(render_results(results(session()), Area(width, 17, Glyphs(), True)))
    (best,) = [row for row in rows if "best int8" in row]
    assert "✗" in best, best


def test_the_names_of_models_are_what_differs_between_them() -> None:
    cells = tuple(
        Cell(id=f"c{i}", model=f"acme/a-long-name-{end}", new_tokens=4)
        for i, end in enumerate(("small", "large"))
    )
    view = results(streams.stream(Plan(cells=cells, iterations=12, warmup=1)))
    assert view.name in ("…small", "…large")


def of_lengths(*, saturated: str = "") -> list[AnyEvent]:
    """Return a run of two batches and two lengths; the shorter one is faster, in batch 4."""
    cells = tuple(
        Cell(id=f"c{i}", model="gpt2", sequence_length=length, batch_size=batch, new_tokens=4)
        for i, (length, batch) in enumerate([(64, 1), (64, 4), (512, 1), (512, 4)])
    )
    made = streams.stream(Plan(cells=cells, iterations=12, warmup=1), steady=True)
    return [
        msgspec.structs.replace(e, stopped_by="saturated")
        if isinstance(e, events.CellFinished) and e.cell == saturated
        else slow(e, {"c0": 1, "c1": 2, "c2": 8, "c3": 40}.get(getattr(e, "cell", ""), 1))
        for e in made
    ]


def test_lengths_are_no_race_against_each_other() -> None:
    view = results(of_lengths())
    assert (view.word, view.name) == ("fastest of 64 tokens", "batch 4")
    by_label = {line.label: line for line in view.lines}
    assert by_label["best of 512 tokens"].name == "batch 1"
    assert "fastest" not in by_label, "a length is no other unit"
    for size in ((80, 9), (68, 19), (114, 20)):
        drawn = lines(render_results(view, Area(*size, Glyphs(), boxed=size[1] > 9)))
        assert any("fastest of 64 tokens" in line for line in drawn)
        assert any("best of 512 tokens" in line for line in drawn)


def test_the_smallest_is_that_of_the_length_of_the_fastest() -> None:
    sizes = {"c0": 900, "c1": 1000, "c2": 800, "c3": 700}
    made = [
        msgspec.structs.replace(e, host_bytes=sizes[e.cell] << 20)
        if isinstance(e, events.Memory)
        else e
        for e in of_lengths()
    ]
    smallest = next(line for line in results(made).lines if line.label == "smallest")
    assert "64 tokens" in smallest.name and "batch 1" in smallest.name


@pytest.mark.parametrize("size", [(60, 9), (80, 9), (114, 17)])
def test_a_saturated_server_is_never_named_without_that_word(size: tuple[int, int]) -> None:
    view = results(read_all(SERVING_RECORDING)[0])
    assert view.word == "highest rate, saturated"
    drawn = lines(render_results(view, Area(*size, Glyphs(), boxed=size[0] > 100)))
    assert any("highest rate, saturated" in line for line in drawn)


def test_the_best_of_a_precision_says_that_it_is_saturated() -> None:
    made = [
        msgspec.structs.replace(e, stopped_by="saturated")
        if isinstance(e, events.CellFinished) and e.cell == "c1"
        else e
        for e in session()
    ]
    best = next(line for line in results(made).lines if line.label == "best bf16")
    assert best.name.startswith("saturated: ")


@pytest.mark.parametrize("width", [60, 80, 114])
def test_a_doubt_is_a_whole_sentence_or_a_shorter_one(width: int) -> None:
    made = [
        slow(e, 4) if getattr(e, "cell", "") in ("c1", "c2") else e
        for e in streams.stream(PLAN, steady=True)
    ]
    view = results(made)
    row = lines(render_results(view, Area(width, 9, Glyphs())))[4]
    assert any(row.rstrip().endswith(form) for form in view.why), row


def test_there_is_none_before_the_end_nor_of_one_cell() -> None:
    made = session(ended=False)
    assert build_view(fold_all(made[:-3])).results is None
    one = streams.stream(Plan(cells=PLAN.cells[:1], iterations=12, warmup=1), steady=True)
    assert build_results(fold_all(one), FrameCache(), ()) is None


def test_the_phase_after_the_last_cell_stands_in_the_header_and_in_the_card() -> None:
    view: View = build_view(fold_all(session(quality=None, ended=False)))
    assert view.phase[0] == "comparing outputs 1/2" and view.results is not None
    assert "comparing outputs 1/2" in lines(render_header(view, 100, Glyphs()))[0]
    assert "comparing outputs 1/2" in lines(render_results(view.results, Area(80, 9, Glyphs())))[0]
    assert (
        "comparing" not in lines(render_header(build_view(fold_all(session())), 100, Glyphs()))[0]
    )


@pytest.mark.parametrize("mode", ["braille", "ascii"])
@pytest.mark.parametrize("size", [(20, 5), (60, 9), (80, 9), (114, 17), (200, 24)])
def test_the_card_fits_and_keeps_what_has_no_number(mode: str, size: tuple[int, int]) -> None:
    boxed = size[0] > 100
    area = Area(*size, Glyphs(mode), boxed)  # type: ignore[arg-type]
    drawn = lines(render_results(results(session()), area))
    assert len(drawn) == size[1] and {len(line) for line in drawn} == {size[0]}
    if size[0] >= 60:
        text = "\n".join(drawn)
        assert "refused" in text and "BROKEN" in text and "int8" in text
        assert ("e report" in text) == boxed


def test_samples_that_do_not_count_are_in_no_figure_of_a_screen() -> None:
    made = session()
    end = next(i for i, e in enumerate(made) if isinstance(e, events.CellFinished))
    block = events.DisturbedBlock(
        t_ns=made[end].t_ns, cell="c0", first=2, count=8, kept=False, reasons=["clock moved"]
    )
    state, cache = fold_all([*made[:end], block, *made[end:]]), FrameCache()
    view = [build_view(state, cache=cache, opened="c0") for _ in range(len(PLAN.cells) + 1)][-1]
    assert view.cells[0].note == "only 4 samples" and view.cells[0].is_reference
    assert view.detail is not None and view.detail.hero.why == "only 4 samples"


def test_models_are_named_by_what_tells_them_apart() -> None:
    cells = tuple(
        Cell(id=f"m{i}", model=f"/models/SmolLM2-135M-{kind}", new_tokens=4)
        for i, kind in enumerate(("Instruct", "GPTQ"))
    )
    made = streams.stream(Plan(cells=cells, iterations=12, warmup=1), steady=True)
    state, cache = fold_all(made), FrameCache()
    view = [build_view(state, cache=cache) for _ in range(4)][-1]
    assert view.results is not None
    assert view.results.name in ("…Instruct", "…GPTQ")


@pytest.mark.parametrize("width", [64, 78])
def test_the_label_of_a_long_precision_says_which(width: int) -> None:
    line = ResultLine("best dequantised:bf16", "7.78", "tok/s", "±18.3 %", "…CT · quantized:int4")
    others = [ResultLine(f"best {n}", "7", "tok/s") for n in range(6)]
    view = replace(results(session()), lines=(*others, line), phase=())
    short = "\n".join(lines(render_results(view, Area(width, 9, Glyphs()))))
    assert "dequantised" not in short and "more lines: y copies all" in short.splitlines()[-1]
    assert "best dequantised" in "\n".join(lines(render_results(view, Area(width, 20, Glyphs()))))


@pytest.mark.parametrize(("width", "samples"), [(66, "3 samples"), (78, "only 3 samples")])
def test_labels_and_doubts_are_whole_where_there_is_room(width: int, samples: str) -> None:
    worse = {"ratio": "2.31x fp32", "remarks": ("but its accuracy is WORSE ✗", "WORSE ✗")}
    few = {"unit": "tok/s", "half": ("only 3 samples", "3 samples")}
    rows = (
        ResultLine("smallest", "0.7", "GiB", ("peak memory", "peak"), "int8:torch-dynamic"),
        ResultLine("best int8:torch-dynamic", "20.3", **few, **worse),  # type: ignore[arg-type]
    )
    drawn = lines(render_results(replace(results(session()), lines=rows), Area(width, 9, Glyphs())))
    (line,) = (row for row in drawn if "20.3" in row)
    assert f"best int8:torch-dynamic  20.3 tok/s {samples} " in line and "2.31x" in line
    assert "WORSE ✗" in line


@pytest.mark.parametrize(("width", "expected"), [(66, "0.69x fp32 ≈"), (80, "undecided ≈")])
def test_a_sign_without_a_word_is_no_part_of_a_list(width: int, expected: str) -> None:
    undecided = ("its accuracy is undecided ≈", "accuracy undecided ≈", "accuracy ≈", "≈")
    rows = (
        ResultLine("best int8:torch-dynamic", "20.3", "tok/s", ("3 samples",)),
        ResultLine(
            "best int8", "6.06", "tok/s", ("3 samples",), "", "0.69x fp32", undecided, "text"
        ),
    )
    drawn = lines(render_results(replace(results(session()), lines=rows), Area(width, 9, Glyphs())))
    (line,) = (row for row in drawn if "6.06" in row)
    assert expected in line and ", ≈" not in line
