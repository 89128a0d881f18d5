"""The pictures of the documents can stand in a README: small, without a script or a request."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from support.paths import ROOT

PICTURES = sorted((ROOT / "docs").glob("*.svg"))
MAX_BYTES = 500_000


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.name)
def test_a_picture_asks_for_nothing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    names = {element.tag.rpartition("}")[2] for element in ET.fromstring(text).iter()}
    assert not names & {"script", "foreignObject", "image", "use", "a", "iframe"}
    body = re.sub(r'xmlns="[^"]*"|<!--.*?-->|url\(#[\w-]+\)', "", text)
    assert not re.search(r"url\(|@import|href|\bon\w+=|https?:", body)
    assert path.name in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_animated_picture_tells_its_story() -> None:
    """Check that frames change, and that the last one stays for who wants no motion."""
    text = (ROOT / "docs" / "ab-animated.svg").read_text(encoding="utf-8")
    for sentence in ("warming A", "no winner yet", "block 10", "but its output is BROKEN"):
        assert sentence in text
    assert text.count("@keyframes") > 20 and "prefers-reduced-motion" in text
