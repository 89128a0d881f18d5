"""Draw the animated picture of the README: `python docs/animation.py > docs/ab-animated.svg`.

The bundled A/B is played on the real screen and photographed at some moments. A row that does not
change from one moment to the next is drawn once. The picture has no script, since a page that
embeds a picture runs none, but it plays CSS animations.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator

from txtop.session.catalog import find_demo
from txtop.ui.app import AppOptions, TxtopApp
from txtop.ui.modes import ReplayMode, ReplayStart

COLUMNS, ROWS, ROW_HEIGHT = 100, 30, 24.4
MOMENTS, MOMENT_S, LAST_S = 24, 0.5, 4.0
STYLE = re.compile(r"\.terminal-\d+-(r\d+) \{ ([^}]*) \}")
PIECE = re.compile(
    r'<rect fill="(?P<ground>[^"]*)" x="(?P<left>[^"]*)" y="(?P<top>[^"]*)"'
    r' width="(?P<width>[^"]*)"'
    r'|<text class="terminal-\d+-(?P<style>r\d+)" (?P<place>x="[^"]*" y="(?P<base>[^"]*)"'
    r' textLength="[^"]*")[^>]*>(?P<text>.*?)</text>'
)
HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">
<title>txtop decides an A/B of fp32 and int8, live: faster, but its output is broken</title>
<style>
text {{ font: 20px "Fira Code", ui-monospace, Menlo, Consolas, monospace; white-space: pre }}
g {{ visibility: hidden; animation: {seconds:g}s step-end infinite }}
@media (prefers-reduced-motion: reduce) {{
  g {{ animation: none !important }}
  .last {{ visibility: visible }}
}}
{styles}
</style>
<rect fill="{ground}" width="100%" height="100%" rx="8"/>
"""


async def take_pictures() -> list[str]:
    """Return an SVG of the screen for each moment of the A/B, from its first block on."""
    mode = ReplayMode(find_demo(), ReplayStart(guided=True))
    app = TxtopApp(mode, AppOptions("txtop-dark", fps=20))
    pictures = []
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        while mode.player is None:
            await pilot.pause(0.05)
        player = mode.player
        player.playing = False
        begin_ns, end_ns = player.first_measured_ns, player.duration_ns
        for moment in range(MOMENTS):
            player.seek(begin_ns + (end_ns - begin_ns) * moment // (MOMENTS - 1))
            await pilot.pause(1.0)
            pictures.append(app.export_screenshot())
    mode.close()
    return pictures


def split_rows(svg: str) -> Iterator[tuple[int, str, str]]:
    """Yield the pieces of a picture: their row, their style, and what is drawn."""
    styles = dict(STYLE.findall(svg))
    for piece in PIECE.finditer(svg.split('clip-terminal)">', 1)[1]):
        if piece["ground"]:
            row = int(float(piece["top"]) / ROW_HEIGHT)
            size = f'x="{piece["left"]}" y="{piece["top"]}" width="{piece["width"]}"'
            yield row, f"fill: {piece['ground']}", f'<rect class="@" {size} height="24.6"/>'
        elif piece["text"].replace("&#160;", ""):
            row = int((float(piece["base"]) - 18) / ROW_HEIGHT)
            text = piece["text"].replace("&#160;", " ")
            yield row, styles[piece["style"]], f'<text class="@" {piece["place"]}>{text}</text>'


def draw(pictures: list[str]) -> str:
    """Return one picture that shows them in turn, the last one for longer."""
    grounds: Counter[str] = Counter()
    moments = [list(split_rows(svg)) for svg in pictures]
    for pieces in moments:
        grounds.update(style for _, style, drawing in pieces if drawing.startswith("<rect"))
    ground = grounds.most_common(1)[0][0]
    names: dict[str, str] = {}
    rows: list[list[str]] = []
    for pieces in moments:
        rows.append([""] * ROWS)
        for row, style, drawing in pieces:
            if style != ground or drawing.startswith("<text"):
                name = names.setdefault(style, f"s{len(names)}")
                rows[-1][row] += drawing.replace("@", name, 1)
    seconds = MOMENT_S * (len(rows) - 1) + LAST_S
    drawn, turns = [], {}
    for row in range(ROWS):
        first = 0
        for moment in range(1, len(rows) + 1):
            if moment < len(rows) and rows[moment][row] == rows[first][row]:
                continue
            if rows[first][row]:
                turn = turns.setdefault((first, moment), f"t{len(turns)}")
                last = " last" if moment == len(rows) else ""
                drawn.append(f'<g class="{turn}{last}">{rows[first][row]}</g>')
            first = moment
    styles = [f".{name} {{ {style} }}" for style, name in names.items()]
    for (first, end), turn in turns.items():
        steps = {0.0: "hidden", first * MOMENT_S / seconds: "visible"}
        if end < len(rows):
            steps[end * MOMENT_S / seconds] = "hidden"
        frames = " ".join(f"{at:.3%} {{ visibility: {how} }}" for at, how in steps.items())
        styles.append(f".{turn} {{ animation-name: {turn} }} @keyframes {turn} {{ {frames} }}")
    head = HEAD.format(
        width=COLUMNS * 12.2, height=ROWS * ROW_HEIGHT + 3, seconds=seconds,
        styles="\n".join(styles), ground=ground.removeprefix("fill: "),
    )  # fmt: skip
    return head + "\n".join(drawn) + "\n</svg>\n"


if __name__ == "__main__":
    sys.stdout.write(draw(asyncio.run(take_pictures())))
