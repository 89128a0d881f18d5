"""The words of signs that a list shows without them: `✗ worse  ▲ busy`.

Apart because every list that shortens badges to signs has it in its heading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, measure_text


def render_sign_legend(meanings: Iterable[str], rows: Sequence[Row], width: int, g: Glyphs) -> str:
    """Render those of `meanings`, each a sign and its word, that no row of `rows` has whole.

    In a narrow heading a sign that has several words has the first, and a space less before it;
    without room for all signs the last ones are left out.
    """
    drawn = "\n".join("".join(text for text, _ in row) for row in rows)
    by_sign: dict[str, list[str]] = {}
    for meaning in dict.fromkeys(meanings):
        sign, _, word = meaning.partition(" ")
        if f" {g(sign)}" in drawn and g(meaning) not in drawn:
            by_sign.setdefault(g(sign), []).append(word)
    whole = [f"{sign} {'/'.join(own)}" for sign, own in by_sign.items()]
    brief = [f"{sign} {own[0]}" for sign, own in by_sign.items()]
    forms = "  ".join(whole), *(" ".join(brief[:count]) for count in range(len(brief), 0, -1))
    return next((form for form in forms if measure_text(form) <= width), "")
