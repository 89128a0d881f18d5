"""Drawing modes, hostile text, and the checks that every row of a panel must pass."""

from __future__ import annotations

from rich.cells import cell_len

from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import Row, clean

G = Glyphs()

MODES: tuple[GlyphMode, ...] = ("braille", "blocks", "ascii")
EVIL = "\x1b]52;c;aGk=\x07\x9b31m[/][@click=app.quit]x[/]‮abc​ 模型名 ⚠️ 👩‍💻 🇨🇭"


def check_rows(drawn: dict[str, list[Row]], width: int, height: int) -> None:
    for name, rows in drawn.items():
        assert len(rows) <= max(height, 1), name
        for row in rows:
            text = "".join(part for part, _ in row)
            assert cell_len(text) == width, (name, text)
            assert text == clean(text), (name, text)
