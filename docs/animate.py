"""Draw the animated picture of README.md: a bundled A/B replayed on the real screen.

    python docs/animate.py docs/ab-animated.svg

Every frame is what the screen shows at that moment of the recording. Rows that stay are drawn once,
and CSS alone shows and hides the others: a README runs no script. Who wants less motion sees the
last frame.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.sax.saxutils import escape

from rich.segment import Segment
from rich.style import Style

from txtop.session.catalog import find_demo
from txtop.ui.app import AppOptions, TxtopApp
from txtop.ui.modes import ReplayMode
from txtop.units import NS_PER_S

COLUMNS, ROWS = 100, 32
GROUND = "#0e1116"
CELL_W, CELL_H, FONT = 8.4, 18, 14
# Seconds of the recording, each on the screen for FRAME_S, the last one for LAST_S.
MOMENTS_S = (1, 30, 104, 115, 125, 135, 145, 155, 165, 175, 179, 181, 183.5, 185.4, 187.5, 189.7,
             191.8, 193.8, 196, 198.3, 200, 201.8, 203.4, 205.2, 206.8, 208.6, 210.4, 212.3, 214,
             216)  # fmt: skip
FRAME_S, LAST_S = 0.45, 5.0
# How box characters are stroked from the middle of their cell: left, right, up, down.
STROKES = {"─": "lr", "━": "lr", "│": "ud", "╭": "rd", "╮": "ld", "╰": "ru", "╯": "lu", "├": "udr",
           "┤": "udl", "┼": "udlr", "┿": "udlr", "┣": "udr", "┫": "udl"}  # fmt: skip
HEAVY = "━┣┫┿"
BLOCKS = {"█": (0, 1), "▀": (0, 0.5), "▄": (0.5, 0.5)}
BRAILLE = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))


@dataclass(frozen=True)
class Run:
    """Neighbouring cells of one look in a row."""

    column: int
    text: str
    style: tuple[str, str, bool]


async def record_frames(path: Path) -> list[list[tuple[Run, ...]]]:
    """Return each moment as rows of runs."""
    mode = ReplayMode(path)
    app = TxtopApp(mode, AppOptions("txtop-dark", fps=20))
    frames = []
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        while mode.player is None or app.frames is None:
            await pilot.pause(0.05)
        mode.player.toggle()
        for moment_s in MOMENTS_S:
            app.frames.ask(lambda player, at=moment_s: player.seek(round(at * NS_PER_S)))
            await pilot.pause(0.5)
            # Private to Textual, as in its own screenshots.
            strips = app.screen._compositor.render_strips()
            frames.append([tuple(split_runs(strip)) for strip in strips])
    mode.close()
    return frames


def split_runs(segments: Iterator[Segment]) -> Iterator[Run]:
    """Return the runs of a row."""
    cells = [(sign, read_style(s.style)) for s in segments for sign in s.text]
    column = 0
    for style, group in groupby(cells, key=lambda cell: cell[1]):
        text = "".join(sign for sign, _ in group)
        yield Run(column, text, style)
        column += len(text)


def read_style(style: Style | None) -> tuple[str, str, bool]:
    """Return colour, ground and weight of a cell."""
    if style is None:
        return "", "", False
    back = style.bgcolor.get_truecolor().hex if style.bgcolor else ""
    if style.color is None:
        return "", back, False
    return style.color.get_truecolor().hex, back, bool(style.bold)


def draw_row(y: int, runs: tuple[Run, ...], classes: dict[tuple[str, bool], str]) -> str:
    """Draw one row at the height `y`; lines, blocks and dots are drawn, not written."""
    parts = []
    for back, group in groupby(runs, key=lambda run: run.style[1]):
        first, *_ = same = list(group)
        if back not in ("", GROUND):
            start, width = num(first.column * CELL_W), sum(len(run.text) for run in same) * CELL_W
            parts.append(f'<path d="M{start} {y}h{num(width)}v{CELL_H}H{start}z" fill="{back}"/>')
    for run in runs:
        colour, _, bold = run.style
        if not colour:
            continue
        name = classes.setdefault((colour, bold), f"c{len(classes)}")
        for kind, group in groupby(enumerate(run.text, run.column), key=lambda c: kind_of(c[1])):
            cells = list(group)
            first, text = cells[0][0], "".join(sign for _, sign in cells)
            if kind == "text" and text.strip():
                first += len(text) - len(text.lstrip())
                text = text.strip()
                parts.append(
                    f'<text x="{num(first * CELL_W)}" y="{y + 13.5}" class="{name}" textLength='
                    f'"{num(len(text) * CELL_W)}">{escape(text)}</text>'
                )
            elif kind == "line":
                thick = 2 if text[0] in HEAVY else 1
                path = "".join(
                    draw_line(next(same)[0] * CELL_W, y, sign, 1 + len(list(same)))
                    for sign, same in groupby(cells, key=lambda cell: cell[1])
                )
                parts.append(f'<path d="{path}" stroke="{colour}" stroke-width="{thick}"/>')
            elif kind == "dots":
                path = "".join(draw_dots(x * CELL_W, y, sign) for x, sign in cells)
                parts.append(f'<path class="d" d="{path}" stroke="{colour}"/>')
            elif kind == "fill":
                path = "".join(draw_fill(x * CELL_W, y, sign) for x, sign in cells)
                parts.append(f'<path d="{path}" fill="{colour}"/>')
    return "".join(parts)


def kind_of(sign: str) -> str:
    """Return how a sign is drawn."""
    if sign in STROKES:
        return "line"
    if sign == "░" or "⠀" < sign <= "⣿":
        return "dots"
    return "fill" if sign in BLOCKS else "text"


def draw_line(x: float, y: float, sign: str, count: int) -> str:
    """Draw a box character `count` times; a plain one is one line."""
    if sign in "─━":
        return f"M{num(x)} {y + CELL_H // 2}H{num(x + count * CELL_W)}"
    path = ""
    for middle in (x + CELL_W * (i + 0.5) for i in range(count)):
        ends = {"l": f"H{num(middle - CELL_W / 2)}", "r": f"H{num(middle + CELL_W / 2)}"}
        ends |= {"u": f"V{y}", "d": f"V{y + CELL_H}"}
        start = f"M{num(middle)} {y + CELL_H // 2}"
        path += "".join(start + ends[end] for end in STROKES[sign])
    return path


def draw_dots(x: float, y: float, sign: str) -> str:
    if sign == "░":
        return "".join(f"M{num(x + 2 + 4 * (i % 2))} {y + 2 + 4 * i}h0" for i in range(4))
    dots = [place for bit, place in enumerate(BRAILLE) if (ord(sign) - 0x2800) >> bit & 1]
    return "".join(f"M{num(x + 2.2 + 4 * i)} {num(y + 2.4 + 4.4 * j)}h0" for i, j in dots)


def draw_fill(x: float, y: float, sign: str) -> str:
    top, height = BLOCKS[sign]
    wide = num(CELL_W + 0.2)
    return f"M{num(x)} {y + top * CELL_H:g}h{wide}v{height * CELL_H:g}h-{wide}z"


def num(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def draw_picture(frames: list[list[tuple[Run, ...]]]) -> str:
    """Return the SVG: each row once for each stretch of frames in which it stays."""
    last = len(frames) - 1
    total_s = last * FRAME_S + LAST_S
    classes: dict[tuple[str, bool], str] = {}
    bodies, rules = [], []
    stretches: dict[tuple[int, int], str] = {}
    for row in range(ROWS):
        start = 0
        for runs, group in groupby(frame[row] for frame in frames):
            end = start + len(list(group))
            body = draw_row(row * CELL_H, runs, classes)
            if start == 0 and end == len(frames):
                bodies.append(body)
            elif body:
                name = stretches.setdefault((start, end), f"s{start}-{end}")
                bodies.append(f'<g class="{name}">{body}</g>')
            start = end
    for (start, end), name in stretches.items():
        on, off = (min(100, 100 * i * FRAME_S / total_s) for i in (start, end))
        is_last = end == len(frames)
        shown = [f"{on:.2f}%{{visibility:visible}}"]
        if start:
            shown.insert(0, "0%{visibility:hidden}")
        if not is_last:
            shown.append(f"{off:.2f}%{{visibility:hidden}}")
        rules.append(f"@keyframes k{name}{{{''.join(shown)}}}")
        rules.append(f".{name}{{animation-name:k{name}}}")
        if not is_last:
            rules.append(f".{name}{{visibility:hidden}}")
    looks = [
        f".{name}{{fill:{colour}{';font-weight:700' if bold else ''}}}"
        for (colour, bold), name in classes.items()
    ]
    width, height = num(COLUMNS * CELL_W), ROWS * CELL_H
    style = (
        f"text{{font:{FONT}px Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace;"
        "white-space:pre}.d{stroke-width:1.8;stroke-linecap:square}"
        f"g{{animation:{total_s:g}s step-end infinite}}"
        "@media(prefers-reduced-motion){g{animation:none}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
        "<title>txtop decides an A/B: B is 1.92x as fast, and its output is broken</title>"
        f"<style>{style}{''.join(looks)}{''.join(rules)}</style>"
        f'<rect width="{width}" height="{height}" rx="6" fill="{GROUND}"/>{"".join(bodies)}</svg>\n'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw_picture(asyncio.run(record_frames(find_demo()))))
