"""One arm of an A/B: its rate, its iterations on the scale that both arms share, its latencies."""

from __future__ import annotations

from dataclasses import replace

from txtop import formatting
from txtop.ui.drawing import charts
from txtop.ui.drawing.frame import framed, inside
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.drawing.spans import Row, crop, fit
from txtop.ui.models.ab import Duel, Lane
from txtop.ui.models.hero import Hero
from txtop.ui.panels import hero

LABELS = 6
ROLES = ("accent-a", "accent-b")


def lane(shown: Duel, side: int, width: int, height: int, g: Glyphs, *, boxed: bool) -> list[Row]:
    """The panel of A (`side` 0) or of the arm that is held against it (1), with its frame."""
    mine, other = shown.sides[side], shown.sides[1 - side]
    role = ROLES[side]
    across, down = inside(width, height, boxed)
    scaled = _on_one_scale(mine.hero, other.hero)
    body = (_tall if boxed else _flat)(mine, other, scaled, side, across, down, g)
    rows = framed(
        f"{mine.letter}  {mine.name}",
        _subtitle(mine, role, g),
        body,
        width,
        height,
        g,
        boxed=boxed,
    )
    return [_lettered(rows[0], mine.letter, role), *rows[1:]] if rows else rows


def _lettered(row: Row, letter: str, role: str) -> Row:
    """The letter in the arm's own colour."""
    found: Row = []
    for text, style in row:
        if style.startswith("text") and text.startswith(letter):
            found += [(text[:1], f"{role}.bold"), (text[1:], style)]
        else:
            found.append((text, style))
    return found


def _subtitle(shown: Lane, role: str, g: Glyphs) -> Row:
    if shown.running:
        return [(g("▸ running"), role)]
    if shown.hero.role == "bad.bold":
        return [(shown.hero.word, "muted")]
    if shown.hero.waits:
        return [("waits", "muted")]
    return [(g(text), style) for text, style in shown.hero.subtitle]


def _on_one_scale(mine: Hero, other: Hero) -> Hero:
    """Heights in the two lanes may be compared: one range, and room for as many iterations."""
    one, two = mine.chart, other.chart
    if not one.points or not two.points or mine.unit != other.unit:
        return mine
    chart = replace(
        one,
        low=min(one.low, two.low),
        high=max(one.high, two.high),
        planned=max(one.planned, two.planned),
    )
    return replace(mine, chart=chart)


def _rate(shown: Lane, role: str, g: Glyphs) -> Row:
    top = shown.hero
    text, unit = hero.number_text(top)
    number = "bad" if top.number_role == "bad" else role if top.value else "muted"
    row: Row = [(" ", "text"), (g(text), f"{number}.bold")]
    row.append((f" {unit}   ", "text"))
    if top.half:
        row.append((f"{g(top.half)}   ", "text"))
    return [*row, (f"{g(top.mark)} {g(top.word)}", top.role)]


def _tall(
    mine: Lane, other: Lane, scaled: Hero, side: int, width: int, height: int, g: Glyphs
) -> list[Row]:
    below = [hero.metric(each, width, g) for each in mine.hero.rows]
    if mine.hero.itl:
        below.append(hero.itl(mine.hero, width, g))
    below.append(_memory(mine))
    room = max(1, height - len(below) - 4)
    return [
        [],
        _rate(mine, ROLES[side], g),
        [],
        *_chart(scaled, other, side, width, room, g),
        [],
        *below,
    ]


def _flat(
    mine: Lane, other: Lane, scaled: Hero, side: int, width: int, height: int, g: Glyphs
) -> list[Row]:
    latencies: Row = []
    for each in mine.hero.rows[:2]:
        latencies += [(f"{each.label}  ", "muted"), (g(each.value), "text.bold")]
        latencies.append((f" {each.unit}   ", "muted"))
    label, value = mine.memory
    beside: Row = [
        (f"{label.removeprefix('peak ')}  ", "muted"),
        (g(value), "text.bold"),
        (" GiB   ", "muted"),
    ]
    if mine.hero.itl:
        name, stated = mine.hero.itl[-1]
        beside.append((f"{name}  {stated.partition(',')[0]}", "muted"))
    room = max(1, height - 3)
    chart = _chart(scaled, other, side, width, room, g)
    return [_rate(mine, ROLES[side], g), *chart, latencies, beside]


def _chart(scaled: Hero, other: Lane, side: int, width: int, height: int, g: Glyphs) -> list[Row]:
    """The iterations, with the other arm's mean as a rule that ends in its letter."""
    room = max(1, width - LABELS)
    chart = scaled.chart
    rows = charts.plot(chart, room, height, g, ROLES[side])
    labels: dict[int, tuple[str, str]] = {}
    if any(point is not None for point in chart.points):
        labels = {
            0: (formatting.three(chart.high), "muted"),
            height - 1: (formatting.three(chart.low), "muted"),
        }
        if other.mean is not None and chart.low <= other.mean <= chart.high:
            y = charts.row_of(other.mean, chart, height, g)
            rows[y] = _ruled(crop(rows[y], room), g)
            labels[y] = (other.letter, ROLES[1 - side])
    return [
        [*crop(row, room), (fit(g(labels[y][0]), LABELS, "right"), labels[y][1])]
        if y in labels
        else row
        for y, row in enumerate(rows)
    ]


def _ruled(row: Row, g: Glyphs) -> Row:
    """The rule where no point is."""
    return [
        (text.replace(" ", g("╌")), "border") if not text.strip() else (text, role)
        for text, role in _split(row)
    ]


def _split(row: Row) -> Row:
    """Spaces apart from what is drawn."""
    found: Row = []
    for text, role in row:
        for character in text:
            blank = character == " "
            if found and (not found[-1][0].strip()) == blank and found[-1][1] == role:
                found[-1] = (found[-1][0] + character, role)
            else:
                found.append((character, role))
    return found


def _memory(shown: Lane) -> Row:
    label, value = shown.memory
    return [
        (fit(label, 8), "muted"),
        (fit(value, 7, "right"), "text.bold"),
        (" GiB", "muted"),
    ]
