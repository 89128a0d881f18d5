"""The animated picture of the README: it asks for nothing, runs nothing, and is small."""

from __future__ import annotations

import importlib.util
import re

from support.paths import ROOT

PATH = ROOT / "docs" / "animation.py"
ROW = '<text class="terminal-1-r1" x="0" y="{y}" textLength="12.2" clip-path="x">{text}</text>'
PICTURE = (
    ".terminal-1-r1 {{ fill: #fff }}\n"
    '<g clip-path="url(#clip-terminal)"><rect fill="#000" x="0" y="1.5" width="9" height="24"/>{}'
)


def test_a_row_is_drawn_once_as_long_as_it_stays() -> None:
    spec = importlib.util.spec_from_file_location("animation", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    moments = ("a", "b"), ("a", "c"), ("a", "b")
    pictures = [
        PICTURE.format(ROW.format(y=20, text=above) + ROW.format(y=44.4, text=below))
        .replace("}}", "}")
        .replace("{{", "{")
        for above, below in moments
    ]
    drawn = module.draw(pictures)
    assert re.findall(r"<text [^>]*>(\w)</text>", drawn) == ["a", "b", "c", "b"]
    # Three moments last 0.5, 0.5 and 4 s.
    assert (
        "{ 0.000% { visibility: hidden } 10.000% { visibility: visible } 20.000% { visib" in drawn
    )
    assert '<rect fill="#000" width="100%"' in drawn and drawn.count("<rect") == 1


def test_the_picture_is_inert_and_small() -> None:
    picture = (ROOT / "docs" / "ab-animated.svg").read_text()
    assert len(picture) < 300_000 and "BROKEN" in picture
    assert re.findall(r"(?:https?:)?//[^ \"]*", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture and "@import" not in picture and "@font-face" not in picture
