"""Tables and notes fit the terminal: no line is wider, no word is cut, nothing is left out."""

from __future__ import annotations

import io
import os
import re
import termios

import pytest
from rich.cells import cell_len

from support import streams
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import table
from txtop.export.text.fitting import format_table, get_width, hoist_shared, wrap_line
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.session import catalog
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

WIDTHS = (80, 100, 120)


def grid(*precisions: str, models: tuple[str, ...] = ("gpt2",)) -> SessionState:
    cells = expand_matrix(
        models=list(models), precisions=list(precisions), attention=["sdpa"], batch_sizes=[2],
        sequence_lengths=[8], new_tokens=[4],
    )  # fmt: skip
    return fold_all(streams.stream(Plan(cells=cells, iterations=12, warmup=1)))


def count_words(text: str) -> set[str]:
    return set(re.findall(r"[^\s]+", text))


@pytest.mark.parametrize("path", catalog.list_bundled(), ids=lambda p: p.name)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_report_fits_and_keeps_every_word(path: object, width: int) -> None:
    state = fold_all(read_all(path)[0])  # type: ignore[arg-type]
    finals = FinalMetrics()
    wide, narrow = (table.format_report(state, finals, width=w) for w in (None, width))
    assert max(map(cell_len, narrow.splitlines())) <= width
    # Rows with long names are numbered.
    numbers = {"#", *(str(row) for row, _ in enumerate(state.cells, start=1))}
    assert count_words(wide) <= count_words(narrow) <= count_words(wide) | numbers


def test_what_does_not_vary_stands_once_above_the_table() -> None:
    lines = table.format_report(grid("fp32", "bf16"), FinalMetrics()).splitlines()
    at = lines.index("gpt2 · sdpa · batch 2 · length 8 · 4 new tokens · all ok")
    heading = lines[at + 1].split()
    assert heading[0] == "prec" and "tok/s" in heading
    assert not {"model", "attn", "unit", "rate", "status"} & set(heading)
    assert lines[at + 2].split()[0] == "fp32" and lines[at + 3].split()[0] == "bf16"


def test_times_of_decoders_have_no_column_among_encoders() -> None:
    path = next(path for path in catalog.list_bundled() if path.stem == "bert-lengths")
    lines = table.format_report(fold_all(read_all(path)[0]), FinalMetrics()).splitlines()
    heading = next(line for line in lines if line.startswith("batch  len"))
    assert "TTFT" not in heading and "TPOT" not in heading and "95 %" in heading
    assert any(
        "TTFT ms" in line for line in table.format_report(grid("fp32"), FinalMetrics()).splitlines()
    )


def test_a_failure_and_a_measure_that_happens_to_agree_keep_their_columns() -> None:
    heading = (("prec", "<"), ("n", ">"), ("status", "<"))
    rows = [["fp32", "12", "oom"], ["fp32", "12", "oom"]]
    assert hoist_shared(heading, rows) == ("fp32", heading[1:], [["12", "oom"], ["12", "oom"]])


def test_rows_with_long_names_are_numbered() -> None:
    heading = (("model", "<"), ("prec", "<"), ("load s", ">"), ("TTFT ms", ">"))
    rows = [["a-model-with-a-very-long-name", "int8:torch-dynamic", "1.00", "2.00"]] * 2
    assert format_table(heading, rows, 40) == [
        "#  model",
        "1  a-model-with-a-very-long-name",
        "2  a-model-with-a-very-long-name",
        "",
        "#  prec                load s  TTFT ms",
        "1  int8:torch-dynamic    1.00     2.00",
        "2  int8:torch-dynamic    1.00     2.00",
    ]


def test_a_note_breaks_between_words() -> None:
    note = "all cells: random weights: the real architecture, so the speed is real"
    assert wrap_line(note, 40) == [
        "all cells: random weights: the real",
        "  architecture, so the speed is real",
    ]
    assert wrap_line("x" * 50, 40) == ["x" * 50] and wrap_line(note, None) == [note]


def test_a_pipe_has_no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "72")
    assert get_width(io.StringIO()) is None
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, 91))
    with os.fdopen(leader), os.fdopen(follower, "w") as terminal:
        assert get_width(terminal) == 91
