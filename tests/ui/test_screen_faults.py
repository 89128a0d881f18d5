"""No text lies over a plot and no word is cut, on any screen at the three sizes.

The scenes are read from the snapshots, which `test_snapshots` holds to what is drawn; the bundled
sessions go through the render functions at several moments.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import chain
from pathlib import Path

import pytest

from support.panels import G
from support.paths import ROOT, SERVING_RECORDING
from support.scenes import RECORDED
from support.screen_faults import (
    list_cut_words,
    list_half_phrases,
    list_texts_over_plots,
    list_words,
    list_words_cut_by_an_edge,
)
from support.screen_text import lines
from txtop.session.player import Player
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.spans import Row
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.layout import PanelLayout, arrange_ab, arrange_session
from txtop.ui.models.view import Playback, View, build_view
from txtop.ui.panels import ab_arm, ab_verdict, cells, header, hero, log, machine, transport
from txtop.ui.panels.tradeoffs import render

SNAPSHOTS = Path(__file__).parent / "__snapshots__" / "test_snapshots"
SIZES = ((80, 24), (120, 40), (200, 60))
# A dialog covers words of the screen behind it.
DIALOGS = ("choose-ab", "glossary", "go-to", "help", "palette", "quit", "themes")
SHARES = (0.02, 0.15, 0.4, 0.7, 0.9, 1.0)
RECORDINGS = (*sorted(RECORDED.glob("*.jsonl")), SERVING_RECORDING)


def read_scenes() -> dict[str, list[str]]:
    """Return the lines of every scene at every size, by scene and size."""
    scenes = {}
    for path in sorted(SNAPSHOTS.glob("*txtop-dark*.txt")):
        _, *drawn = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
        name = re.sub(r"^test_screen|-txtop-dark|\.txt$", "", path.name)
        scenes[name] = [line.removesuffix("|").rstrip() for line in drawn]
    return scenes


@cache
def collect_vocabulary() -> frozenset[str]:
    """Return the words that some screen or document has whole."""
    documents = [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    prose = [line for path in documents for line in path.read_text(encoding="utf-8").splitlines()]
    drawn = [line for scene in read_scenes().values() for line in scene]
    return frozenset(list_words(drawn) | list_words(f"{line} ." for line in prose))


def test_a_fault_would_be_noticed() -> None:
    vocabulary = {"attention", "b4", "tok", "s"}
    assert list_texts_over_plots(["│ ⣀⣀●4⠉⠉ │"]) and list_texts_over_plots(["⣿ text in it ⣿"])
    assert not list_texts_over_plots(["│ b4●⠉⠉⠉ 12 │", "CPU 52 %   ⣿⣿   100"])
    assert list_cut_words(["gpt2-atten…  x"], vocabulary) == ["atten"]
    assert list_cut_words(["gpt2-attention…  …L-4"], vocabulary) == []
    assert list_half_phrases(["p99 after 662 (27 so… ─", "10 slower, 2…", "limit 2500…", "a……"])
    assert not list_half_phrases(["p99 after 662 (27 so far)  E2E p90 2,850 ms…", "gptq:int4…"])
    assert list_words_cut_by_an_edge(["│ the atten │", "   atten"], vocabulary) == [
        "atten",
        "atten",
    ]
    assert list_words_cut_by_an_edge(["│ attention ││ 24 │"], vocabulary) == []


@pytest.mark.parametrize("size", SIZES, ids="{0[0]}x{0[1]}".format)
def test_no_scene_has_text_over_a_plot_or_half_a_word(size: tuple[int, int]) -> None:
    name = "[{}x{}]".format(*size)
    scenes = {scene: rows for scene, rows in read_scenes().items() if scene.endswith(name)}
    assert len(scenes) > 20
    faults = {}
    for scene, rows in scenes.items():
        vocabulary = set(collect_vocabulary())
        of_scene = list_texts_over_plots(rows) + list_cut_words(rows, vocabulary)
        of_scene += list_half_phrases(rows)
        if not scene.startswith(tuple(f"[{dialog}]" for dialog in DIALOGS)):
            of_scene += list_words_cut_by_an_edge(rows, vocabulary)
        if of_scene:
            faults[scene] = of_scene
    assert faults == {}


def render_panels(view: View, layout: PanelLayout) -> Iterator[tuple[str, list[Row]]]:
    for name, place in layout.places.items():
        area = Area(place.width, place.height, G, layout.boxed)
        match name:
            case "header":
                yield name, header.render_header(view, place.width, G)
            case "transport" if view.playback is not None:
                yield name, transport.render_transport(view.playback, area)
            case "hero":
                yield name, hero.render_hero(view.hero, area)
            case "machine":
                yield name, machine.render_machine(view.machine, area, view.machine_detail)
            case "cells":
                yield name, cells.render_cells(view.cells, view.running, area)
            case "log":
                yield name, log.render_log(view.log, area)
            case "tradeoffs":
                for at, plot in enumerate(view.tradeoffs.plots or (None,)):
                    for cursor in (None, *range(len(plot.points) if plot else 0)):
                        selection = render.TradeoffsSelection(view.tradeoffs, at, cursor)
                        yield name, render.render_tradeoffs(selection, area)


def render_ab_panels(view: View, width: int, height: int) -> Iterator[tuple[str, list[Row]]]:
    """Render the panels of an A/B in the sizes that they have beside each other."""
    if view.ab is None:
        return
    layout = arrange_ab(width, height, replay=True)
    for name, place in layout.places.items():
        area = Area(place.width, place.height, G, layout.boxed)
        if name == "verdict":
            yield name, ab_verdict.render_ab_verdict(view.ab, area)
        elif name in ("arm-a", "arm-b"):
            yield name, ab_arm.render_ab_arm(view.ab, int(name == "arm-b"), area)


def list_views(path: Path) -> Iterator[View]:
    player = Player(path)
    try:
        for share in SHARES:
            player.seek(round(share * player.duration_ns))
            cache = FrameCache()
            for _ in player.state.cells:
                view = build_view(player.state, cache=cache, playback=Playback.of(player))
            yield view
    finally:
        player.close()


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_no_moment_of_a_recording_has_text_over_a_plot_or_half_a_word(path: Path) -> None:
    faults = set()
    for view in list_views(path):
        # Whatever the view says is whole in it, be it a name or a reason.
        vocabulary = set(collect_vocabulary()) | list_words([f"{view!r} ."])
        for width, height in SIZES:
            for zoom in ("", "tradeoffs", "cells"):
                layout = arrange_session(
                    width, height, replay=True, cells=len(view.cells), zoom=zoom, tradeoffs=True
                )
                panels = chain(render_panels(view, layout), render_ab_panels(view, width, height))
                for panel, rows in panels:
                    drawn = [line.rstrip() for line in lines(rows)]
                    over, cut = list_texts_over_plots(drawn), list_cut_words(drawn, vocabulary)
                    cut += list_half_phrases(drawn)
                    faults |= {(width, panel, fault) for fault in over + cut}
    assert not faults
