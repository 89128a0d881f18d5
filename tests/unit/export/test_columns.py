"""Columns of printed tables, counted in cells of the terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.cli.session_list import format_sessions
from txtop.export.text import table
from txtop.export.text.columns import (
    align_columns,
    cut_cells,
    cut_words,
    measure_cells,
    pad_cells,
)
from txtop.state.fold import fold_all

TEXTS = [
    "plain",
    "模型 测试",
    "한국어",
    "😀 b",
    "e\u0301te\u0301",
    "ﾊﾝｶｸ",
    "ＡＢ",
    "",
    "Ünïcode",
    "±3.1 %",
]


@pytest.mark.fault(59)
@pytest.mark.parametrize("text", TEXTS)
def test_cells_are_those_of_the_screen(text: str) -> None:
    assert measure_cells(text) == cell_len(text)
    assert cell_len(pad_cells(text, 20)) == 20 == cell_len(pad_cells(text, 20, ">"))


@pytest.mark.parametrize(
    ("width", "cut"),
    [
        (40, "fp32, int4, int8:bnb"),
        (17, "fp32, int4…"),
        (11, "fp32, int4…"),
        (6, "fp32…"),
        (3, "fp…"),
    ],
)
def test_words_are_whole_before_the_mark(width: int, cut: str) -> None:
    assert cut_words("fp32, int4, int8:bnb", width) == cut and measure_cells(cut) <= width


def test_a_list_of_sessions_breaks_no_word_and_tells_models_apart(tmp_path: Path) -> None:
    listed = format_sessions(tmp_path, ["smollm2-135m-gptq"])
    line = next(line for line in listed.splitlines() if "smollm2-quantised" in line)
    assert "SmolLM2-135M-Instruct, …GPTQ, …CT · fp32, int4" in line
    assert line.endswith("…") and line.removesuffix("…").split()[-1] in (
        "int8:bnb",
        "gptq:int4-g64",
    )


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_a_list_of_sessions_fits_the_terminal_with_all_its_words(
    tmp_path: Path, width: int
) -> None:
    streams.write(tmp_path / f"{'long-name-' * 5}.jsonl", streams.stream())
    listed, whole = format_sessions(tmp_path, (), width), format_sessions(tmp_path, (), 1000)
    assert max(map(cell_len, listed.splitlines()[:-1])) <= width
    assert listed.split() == whole.split() and "gptq:int4-g64" in whole.split("int8:bnb, ")[1]
    assert len(whole.splitlines()) == 9


@pytest.mark.fault(59)
@pytest.mark.parametrize("width", range(1, 9))
def test_a_cut_text_fits_and_a_short_one_stays(width: int) -> None:
    for text in TEXTS:
        cut = cut_cells(text, width)
        assert cell_len(cut) <= width
        assert (cut == text) is (cell_len(text) <= width)


@pytest.mark.fault(59)
def test_the_tables_are_aligned_under_wide_names(tmp_path: Path) -> None:
    rows = align_columns((("a", "<"), ("b", ">")), [["name", "1"], ["模型", "22"], ["😀", "333"]])
    assert {cell_len(row) for row in rows} == {cell_len("name") + 2 + 3}
    state = fold_all(streams.stream(streams.plan(("/m/模型 测试 😀", "/m/plain"))))
    lines = table.format_report(state, FinalMetrics()).splitlines()
    (heading,) = (line for line in lines if line.startswith("model "))
    (wide,) = (line for line in lines if line.startswith("模型"))
    (plain,) = (line for line in lines if line.startswith("plain"))
    assert cell_len(wide) == len(plain) == len(heading)
    for name in ("模型.jsonl", "plain.jsonl"):
        streams.write(tmp_path / name, streams.stream())
    listed = [line for line in format_sessions(tmp_path).splitlines() if "cells" in line]
    assert len({cell_len(line[: line.index("cells")]) for line in listed}) == 1
