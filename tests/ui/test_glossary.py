"""The glossary of the screens is that of the documentation."""

from __future__ import annotations

import re

from support.paths import ROOT
from txtop.ui.models.glossary import BIG_NUMBERS, GLOSSARY


def test_the_screen_explains_the_words_of_the_documentation() -> None:
    page = (ROOT / "docs" / "screens.md").read_text(encoding="utf-8")
    table = page.partition("## Glossary")[2].partition("| word | means |\n|---|---|\n")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table.replace("`", ""), re.MULTILINE)
    entries = [entry for _, group in GLOSSARY for entry in group]
    assert dict(rows) == dict(entries) and len(rows) == len(entries)
    terms = " ".join(term for term, _ in entries)
    assert all(unit in terms for unit in BIG_NUMBERS)
