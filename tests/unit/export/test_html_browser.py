"""The report in a real browser: it asks for nothing, an A/B is readable, a session plays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from support import streams
from support.browser import BROWSER, Browser
from support.explanations import build_explained_session
from txtop.analysis.metrics import FinalMetrics
from txtop.export.html.page import render_page
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.session import catalog
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium here; TXTOP_BROWSER names one")
CLAIM = "1.92x B is faster, but its output is BROKEN ✗"
REDS = {"dark": "rgb(255, 123, 129)", "light": "rgb(195, 33, 43)"}
EVIL_HTML = "</script></title><script>document.title='owned'</script><img src=http://x.test/a>"
# The contrast of an element's text with the first background behind it that is not transparent.
CONTRAST = """((selector) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  return [...document.querySelectorAll(selector)].filter((e) => e.textContent).map((element) => {
    let behind = element;
    const back = (e) => parse(getComputedStyle(e).backgroundColor);
    while (back(behind).length === 4 && back(behind)[3] === 0) behind = behind.parentElement;
    const pair = [parse(getComputedStyle(element).color), back(behind)].map(luminance);
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  });
})"""
# The least height of a letter in the plots of the A/B as drawn, in pixels; the texts that overlap.
PLOT_TEXTS = """(() => {
  const texts = [...document.querySelectorAll('.verdict svg text')];
  const boxes = texts.map((text) => text.getBoundingClientRect());
  const sizes = texts.map((text) => parseFloat(getComputedStyle(text).fontSize)
    * text.ownerSVGElement.getScreenCTM().a);
  const overlaps = [];
  boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b, j) => {
    const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (wide > 1 && high > 3) overlaps.push([texts[i].textContent, texts[i + 1 + j].textContent]);
  }));
  return { least: Math.min(...sizes), count: texts.length, overlaps };
})()"""

# Of each flame graph its frames: those that leave it, and those that do not say what they are.
FLAMES = """[...document.querySelectorAll('svg.flame')].map((flame) => {
  const around = flame.getBoundingClientRect();
  const frames = [...flame.querySelectorAll('rect')].filter((rect) => rect.width.baseVal.value);
  const boxes = frames.map((rect) => rect.getBoundingClientRect());
  return {
    frames: frames.length, wide: around.width, widest: Math.max(...boxes.map((b) => b.width)),
    outside: boxes.filter((b) => b.left < around.left - 1 || b.right > around.right + 1
      || b.bottom > around.bottom + 1).length ? ['a frame'] : [],
    nameless: frames.filter((rect) => !rect.parentElement.querySelector('title')).map(String),
  };
})"""
# The step, the model, its MLP (called twice, one frame), and three operators.
FLAME_FRAMES = 6


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def broken_ab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the report of the bundled A/B: faster, and its output broken."""
    path = tmp_path_factory.mktemp("report") / "ab.html"
    state = fold_all(read_all(catalog.find_demo())[0])
    path.write_bytes(render_page(state, FinalMetrics(), "smollm2-int8"))
    return path


def assert_asks_for_nothing(browser: Browser, path: Path) -> None:
    assert set(browser.list_requests()) == {path.as_uri()}
    assert browser.list_errors() == []


def test_a_request_would_be_noticed(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "loud.html"
    path.write_text("<!doctype html><img src=http://x.test/a><script>fail()</script>")
    browser.forget()
    browser.show(path, 400, "light")
    assert "http://x.test/a" in browser.list_requests()
    assert any("fail is not defined" in text for text in browser.list_errors())


@pytest.mark.fault(20)
def test_hostile_text_is_shown_and_does_not_run(browser: Browser, tmp_path: Path) -> None:
    cells = expand_matrix(
        models=["gpt2"], precisions=["fp32", "bf16"], attention=["sdpa"], batch_sizes=[1, 8],
        sequence_lengths=[8, 16], new_tokens=[4],
    )  # fmt: skip
    hostile = tuple(msgspec.structs.replace(cell, model=EVIL_HTML) for cell in cells)
    made = streams.stream(Plan(cells=hostile, iterations=12, warmup=1))
    assert isinstance(made[0], events.SessionHeader)
    made[0].session = EVIL_HTML
    path = tmp_path / "report.html"
    path.write_bytes(render_page(fold_all(made), FinalMetrics()))
    browser.forget()
    browser.show(path, 400, "light")
    count = "document.querySelectorAll('{}').length".format
    assert browser.evaluate("document.title") == f"{EVIL_HTML} · txtop"
    assert browser.evaluate(count("script")) == 2 and browser.evaluate(count("img")) == 0
    assert browser.evaluate(count(".card")) == 8
    assert browser.evaluate("document.querySelectorAll('.results li').length") == 8
    assert_asks_for_nothing(browser, path)


def test_the_ab_is_readable_in_both_schemes_wide_and_narrow(
    browser: Browser, broken_ab: Path
) -> None:
    browser.forget()
    backgrounds = set()
    for width in (1040, 400):
        for scheme in ("dark", "light"):
            browser.show(broken_ab, width, scheme)
            style = "getComputedStyle(document.querySelector('{}')).{}".format
            backgrounds.add(browser.evaluate(style("body", "backgroundColor")))
            claim = browser.evaluate("document.querySelector('.claim').innerText")
            assert " ".join(claim.split()) == CLAIM
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            for selector in (".claim", ".claim span", ".facts", ".verdict td", ".verdict li"):
                assert min(browser.evaluate(f"{CONTRAST}('{selector}')")) >= 4.5, selector
            red, badge, value = (
                browser.evaluate(style(one, "color"))
                for one in (".claim .bad", "td.bad", ".claim .value")
            )
            assert red == badge == REDS[scheme]
            assert value != red, "the digits of a broken winner are grey, not red"
            texts = browser.evaluate(PLOT_TEXTS)
            assert texts["count"] > 15 and texts["least"] >= 9, texts
            assert texts["overlaps"] == []
            wide = browser.evaluate(
                "[...document.querySelectorAll('.scroll')]"
                ".filter((e) => e.scrollWidth > e.clientWidth)"
                ".map((e) => getComputedStyle(e).backgroundImage.split('gradient').length - 1)"
            )
            assert set(wide) <= {4} and (wide or width > 400), "a shadow where there is more"
    assert len(backgrounds) == 2
    assert_asks_for_nothing(browser, broken_ab)


def test_a_session_plays_in_the_page(browser: Browser, broken_ab: Path) -> None:
    browser.forget()
    browser.show(broken_ab, 1040, "light")
    figures = "[...document.querySelectorAll('#player .figure')].map((e) => e.textContent)"
    sentence = "document.querySelector('#player .claim').innerText.trim()"
    seek = (
        "(() => { const s = document.querySelector('#player input'); s.value = {} * s.max;"
        " s.dispatchEvent(new Event('input')); })()"
    ).replace
    assert browser.evaluate(sentence).endswith("but its output is BROKEN ✗")
    assert browser.evaluate(figures) == ["12.7 tok/s no interval", "23.8 tok/s ±8.1 %"]
    browser.evaluate(seek("{}", "0"))
    assert browser.evaluate(figures) == ["waits", "waits"]
    assert browser.evaluate(sentence) == "no block yet"
    browser.evaluate(seek("{}", "0.9"))
    assert "no verdict yet: block" in browser.evaluate(sentence)
    browser.evaluate(seek("{}", "0"))
    browser.evaluate("document.querySelector('#player select').value = '4096'")
    browser.evaluate("document.querySelector('#player button').click()")
    ended = browser.evaluate(
        "new Promise((done) => { const look = () => document.querySelector('#player button')"
        ".textContent.includes('play') ? done(document.querySelector('#player .clock').textContent)"
        " : setTimeout(look, 20); look(); })"
    )
    assert ended == "03:35 / 03:35"
    assert browser.evaluate(figures) == ["12.7 tok/s no interval", "23.8 tok/s ±8.1 %"]
    assert_asks_for_nothing(browser, broken_ab)


def test_a_flame_graph_fills_its_row_and_stays_inside(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "flame.html"
    path.write_bytes(render_page(build_explained_session(), FinalMetrics(), "why"))
    for scheme in ("dark", "light"):
        for width in (1040, 400):
            browser.forget()
            browser.show(path, width, scheme)
            flames = browser.evaluate(FLAMES)
            assert [flame["frames"] for flame in flames] == [FLAME_FRAMES, FLAME_FRAMES]
            for flame in flames:
                assert flame["outside"] == [] and flame["nameless"] == []
                assert 0.9 * flame["wide"] < flame["widest"] <= flame["wide"]
            assert browser.evaluate("document.documentElement.scrollWidth") <= width
            assert_asks_for_nothing(browser, path)
