"""The flame graph of an explanation: widths are times, calls of one place are one frame."""

from __future__ import annotations

import re

import msgspec

from support.explanations import build_explained_session, build_trace, phase, session
from support.roofline_session import GPT2, told
from txtop.analysis.explanation import describe_closure
from txtop.analysis.metrics import FinalMetrics
from txtop.export.explained import export_explanations
from txtop.export.html.flame import build_frames, draw_flames
from txtop.export.html.page import render_page
from txtop.export.text.explanation import format_explanations
from txtop.protocol.events import Explanation, OperatorTime


def test_calls_of_one_place_are_one_frame() -> None:
    root = build_frames(build_trace())
    (model,) = root.inner.values()
    (layer,) = model.inner.values()
    assert (root.ns, model.ns) == (900, 800)
    assert (layer.name, layer.ns, layer.calls) == ("module:h.*.mlp", 700, 2)
    assert [frame.name for frame in layer.inner.values()] == ["aten::linear", "aten::gelu <script>"]


def test_a_frame_is_as_wide_as_its_time_and_foreign_text_is_inert() -> None:
    prefill, decode = draw_flames(build_explained_session())
    assert "flame graph of a prefill" in prefill and "flame graph of a decode step" in decode
    widths = [float(value) for value in re.findall(r'<rect [^>]*width="([0-9.]+)"', decode)]
    assert widths[0] == 999.4 and abs(widths[1] - (1000 * 800 / 900 - 0.6)) < 0.1
    assert "<script>" not in decode and "gelu &lt;script&gt;" in decode


def test_the_report_has_the_explanation_and_its_flames() -> None:
    page = render_page(build_explained_session(), FinalMetrics()).decode()
    assert page.count('class="flame"') == 2 and "Where the time goes" in page
    assert "fp32 where bf16 is fast" in page


def test_the_printed_explanation_has_parts_findings_and_what_to_try() -> None:
    lines = "\n".join(format_explanations(build_explained_session()))
    assert "a decode step of gpt2" in lines and "parts add up to 100.0 %" in lines
    assert re.search(r"MLP +14\.0 +54 % +4 %", lines)
    assert "1 thread on 2 cores" in lines and "try --threads 2" in lines
    assert "Reported when matrix products take 50 % of the time or more" in lines


def test_the_reason_of_dashes_for_roofs_is_printed_once() -> None:
    lines = format_explanations(build_explained_session())
    (reason,) = (line for line in lines if line.startswith("no share of"))
    assert reason == "no share of bandwidth and arithmetic: the peaks of the device are not known"
    for load, why in (
        ({"family": "seq2seq"}, "bandwidth and arithmetic: there is no convention for an"),
        (
            {"geometry": msgspec.structs.replace(GPT2, dtype="int8")},
            "arithmetic: the peak of int8 arithmetic is not known",
        ),
        ({}, ""),
    ):
        state = told(**load)
        explanation = Explanation(t_ns=1, cell="c001", phases=[phase(parts=[])])
        state.explanations["c001"] = explanation
        reasons = [line for line in format_explanations(state) if "no share" in line]
        assert len(reasons) == bool(why) and why in "".join(reasons)
        cell = state.cells["c001"]
        cell.cell = msgspec.structs.replace(cell.cell, compile="default")
        assert sum("no share" in line for line in format_explanations(state)) == 1


def test_a_compiled_graph_is_named_without_its_hash() -> None:
    graph = OperatorTime(name="## Call CompiledFxGraph fpq7ak7z ##", kind="compiled", ns=9, calls=1)
    lines = "\n".join(format_explanations(session(phase(operators=[graph]))))
    assert "operators: compiled graph 0" in lines and "fpq7" not in lines


def test_the_json_export_has_the_notes_of_an_explanation() -> None:
    slowed = session(phase(median_ns=1200))
    (explained,) = export_explanations(slowed)
    assert any("something else used the machine" in note for note in explained.notes)
    assert export_explanations(session())[0].notes == []


def test_an_explanation_says_what_measuring_added() -> None:
    assert "taken off: profiler 10 %" in describe_closure(phase())
    assert "taken off: clock 2 %, profiler 10 %" in describe_closure(phase(clocked_ns=1020))
