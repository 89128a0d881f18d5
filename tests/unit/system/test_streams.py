"""Every sign that plain output has falls back to ASCII, and its columns stay where they are."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

from support.paths import ROOT
from txtop.analysis.metrics import FinalMetrics
from txtop.export.text import table
from txtop.runner.liveness import load_session
from txtop.session.catalog import list_bundled
from txtop.system import streams

# Drawn by other means: the screen has its own glyphs, a page is UTF-8.
DRAWN_OTHERWISE = ("ui", "html")
PLAIN = [
    path
    for path in sorted((ROOT / "txtop").rglob("*.py"))
    if not set(path.relative_to(ROOT).parts) & set(DRAWN_OTHERWISE) and path.stem != "sanitise"
]


def read_signs(path: Path) -> set[str]:
    """Return the characters outside ASCII of a module's strings; docstrings are not printed."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in nodes
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
    ]
    return {character for text in texts for character in text if not character.isascii()}


def print_in(encoding: str, text: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what a stream of this encoding takes of a text."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    monkeypatch.setattr(sys, "stdout", out)
    streams.make_streams_forgiving()
    print(text, end="", flush=True)
    return out.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]


@pytest.mark.fault(51)
def test_every_sign_of_plain_output_has_an_ascii_form(monkeypatch: pytest.MonkeyPatch) -> None:
    signs = {sign for path in PLAIN for sign in read_signs(path)}
    assert len(signs) > 5
    assert "?" not in print_in("ascii", "".join(sorted(signs)), monkeypatch)


@pytest.mark.fault(51)
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437", "euc-jp"])
def test_columns_stay_where_they_are(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in list_bundled():
        report = table.format_report(load_session(path)[0], FinalMetrics())
        for line, plain in zip(
            report.splitlines(), print_in(encoding, report, monkeypatch).splitlines(), strict=True
        ):
            if "  " in line:
                assert len(plain) == len(line), (line, plain)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("± 1  x", "+- 1 x"),
        ("±1 %   x\n", "+-1 %  x\n"),
        ("±1 x", "+-1 x"),
        ("a…  b", "a...  b"),
        ("a…   b", "a... b"),
        ("±±1   b", "+-+-1 b"),
        ("±1 ±2   b", "+-1 +-2  b"),
        ("±\n  b", "+-\n  b"),
        ("é  b", "?  b"),
    ],
)
def test_a_wider_form_takes_from_the_gap_after_it(
    text: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert print_in("ascii", text, monkeypatch) == plain
