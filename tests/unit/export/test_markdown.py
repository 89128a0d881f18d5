"""The outcome of a session in Markdown, in the sentences of the report."""

from __future__ import annotations

import html
import re

import pytest

from support import fit_session, race_session
from txtop.analysis.metrics import FinalMetrics
from txtop.export import markdown
from txtop.export.fleet import to_markdown as to_fleet_markdown
from txtop.export.html.page import render_page
from txtop.export.markdown import to_markdown
from txtop.export.text.table import format_report
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session.catalog import resolve_session
from txtop.session.reader import read_all
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState


def read_markdown(state: SessionState) -> str:
    document = to_markdown(state, FinalMetrics()).decode()
    return re.sub(r"\\(.)|(?<=: )`(.*)`", r"\1\2", html.unescape(document))


@pytest.mark.parametrize(
    ("made", "beginnings"),
    [
        (
            list(race_session.Race().events()),
            ["most tokens/s of gpt2", "  bf16 · sdpa · b16  ", "  keeps: ", "  limited by quality",
             "  race: 24 candidates: ", "  measure again: ", "  serve: ",
             "int8: below the floor: "],
        ),
        (
            list(fit_session.search_whole()),
            ["largest batch of gpt2", "  ran  ", "  did not  ", "  3 probes"],
        ),
        (
            read_all(resolve_session("smollm2-int8"))[0],
            ["B is 1.92x as fast as A", "each against A fp32, margin", "B against A over 2,048",
             "all cells: warm-up cut"],
        ),
    ],
)  # fmt: skip
def test_markdown_says_what_the_report_says(made: list[AnyEvent], beginnings: list[str]) -> None:
    state = fold_all(made)
    report, document = format_report(state, FinalMetrics()).splitlines(), read_markdown(state)
    for beginning in beginnings:
        lines = [line for line in report if line.startswith(beginning)]
        assert lines and all(f"{line.strip()}\n" in document for line in lines), beginning


def test_a_second_search_is_no_part_of_the_last_item_of_the_first() -> None:
    document = markdown._format_lines(["largest batch", "  ran 4", "longest prompt", "  ran 64"])
    assert "- ran 4\n\nlongest prompt\n\n- ran 64\n" in document


def test_the_verdict_of_an_ab_stands_with_its_interval_and_the_number_of_its_blocks() -> None:
    document = read_markdown(fold_all(read_all(resolve_session("smollm2-int8"))[0]))
    heading, rule, row = [line for line in document.splitlines() if line[:1] == "|"][:3]
    assert heading.startswith("| arm | ratio | 95 %, every look")
    assert row.startswith("| B int8:torch-dynamic | 1.915 | [1.75, 2.10] |") and rule


def test_a_command_stands_as_it_is_typed() -> None:
    lines = ["best of it:", "  serve: serve ./bert_base --a `b` <c>", "  keeps: a_b"]
    items = "- serve: `` serve ./bert_base --a `b` <c> ``\n- keeps: a\\_b\n"
    assert markdown._format_lines(lines).endswith(items)
    document = to_markdown(fold_all(race_session.Race().events()), FinalMetrics()).decode()
    assert "\n- measure again: `txtop run --models gpt2" in document


@pytest.mark.parametrize(
    ("reason", "remark"),
    [("done", ""), ("stopped", "stopped before its end"), (None, "the session has no end: it is")],
)
def test_every_document_says_that_a_session_did_not_end(reason: str | None, remark: str) -> None:
    (*made, ended) = race_session.Race().events()
    assert isinstance(ended, events.SessionEnded)
    state = fold_all(made)
    if reason is not None:
        ended.reason = reason  # type: ignore[assignment]
        fold(state, ended)
    finals = FinalMetrics()
    documents = [
        format_report(state, finals),
        to_markdown(state, finals).decode(),
        to_fleet_markdown({"here": state}, finals).decode(),
        render_page(state, finals).decode(),
    ]
    for document in documents:
        assert remark in document
        assert remark or ("before its end" not in document and "has no end" not in document)
