"""The HTML report: one inert file that a real browser shows."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from support import streams
from support.hostile_sessions import spoil_models, spoil_texts
from txtop.analysis.metrics import FinalMetrics
from txtop.cli.app import run_command_line
from txtop.export.html import page
from txtop.export.html.page import render_page
from txtop.export.html.plots import ReportPoint, draw_lines
from txtop.plan.matrix import expand_matrix
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session import catalog
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

MOST_BYTES = 2_000_000
PLAYER = (page.HERE / "player.js").read_text(encoding="utf-8")
EVIL_HTML = (
    "</title></svg><script>document.title='owned'</script><img src=x onerror=alert(1)>"
    "\"'><a href=javascript:alert(1)>$\\frac{$ ]]> --> &lt; \x1b[31m"
)


def sweep(count: int = 1, batches: tuple[int, ...] = (1, 8), iterations: int = 12) -> Plan:
    cells = expand_matrix(
        models=[f"gpt2-{i}" for i in range(count)],
        precisions=["fp32", "bf16"],
        attention=["sdpa"],
        batch_sizes=list(batches),
        sequence_lengths=[8, 16],
        new_tokens=[4],
    )
    return Plan(cells=cells, iterations=iterations, warmup=1)


def report(made: list[AnyEvent]) -> str:
    return render_page(fold_all(made), FinalMetrics()).decode()


class Tags(HTMLParser):
    """Every tag and attribute, as a browser's parser sees them."""

    def __init__(self, body: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[str] = []
        self.feed(body)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts.append(data)


def assert_inert(body: str) -> None:
    """Check that nothing foreign runs, nothing is fetched, nothing is hidden."""
    tags = Tags(body)
    assert not tags.names & {"img", "a", "iframe", "object", "link", "foreignobject"}
    for name, value in tags.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "src", "xlink:href") or value.startswith("#")
        assert name in ("aria-label",) or name.startswith("xmlns") or "://" not in value
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", body))
    if tags.scripts:
        # The recording, which is no program, and the one program that the policy names.
        recording, player = tags.scripts
        assert json.loads(recording)["cells"] and player == PLAYER
        assert body.count("<script") == body.count("</script>") == 2
    digest = base64.b64encode(hashlib.sha256(PLAYER.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    assert policy in body and "\x1b" not in body


@pytest.mark.parametrize("path", catalog.list_bundled(), ids=lambda p: p.name)
def test_a_bundled_session_is_one_small_inert_page(path: Path) -> None:
    made = read_all(path)[0]
    body = report(made)
    assert len(body) < MOST_BYTES
    if path.name == "smollm2-int8.jsonl":
        assert body == report(read_all(path)[0]), "the same page each time"
    assert_inert(body)
    assert "prefers-color-scheme:dark" in body and "var(--a)" in body


def report_bundled(name: str) -> str:
    (path,) = (path for path in catalog.list_bundled() if path.name.startswith(name))
    return report(read_all(path)[0])


def list_plot_texts(body: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]+)</text>", body)


def test_one_speed_is_stated_everywhere_and_a_test_says_what_it_compares() -> None:
    body = report_bundled("smollm2-task")
    texts = list_plot_texts(body)
    assert ">1.64x</td>" in body and "int8:torch-dynamic 1.64x, agreement" in texts
    assert "times as fast, medians compared" in texts
    assert "The test compares medians; the speeds elsewhere in this report compare means." in body


def test_plots_name_cells_by_what_differs_and_in_full() -> None:
    texts = list_plot_texts(report_bundled("smollm2-task"))
    points = [text.split()[0] for text in texts if text.endswith((", agreement", ", facts"))]
    assert sorted(points) == ["int8", "int8:torch-dynamic"]
    assert {"fp32", "int8", "int8:torch-dynamic"} <= set(texts), "titles of the iterations"
    assert not [text for text in texts if "…" in text]


def test_every_plot_has_its_data_and_none_is_empty() -> None:
    body = report(streams.stream(sweep()))
    for heading in ("Throughput", "Speed over", "The machine", "Iterations", "Every cell"):
        assert heading in body
    assert body.count("<svg") == 2 + 1 + 1 + 8
    plain = report(streams.stream(streams.plan(("gpt2",))))
    assert "Throughput" not in plain and "Speed over" not in plain
    assert report(streams.stream()[:2]).count("<svg") == 0


@pytest.mark.fault(18)
@pytest.mark.fault(19)
@pytest.mark.fault(20)
def test_a_line_goes_along_its_loads_and_leaves_out_clients() -> None:
    points = [
        ReportPoint(2.0, 10, "", 3.0),
        ReportPoint(9.0, 20, "", 2.0),
        ReportPoint(5, 9, "8", None),
    ]
    drawn = draw_lines({"one": [*points, ReportPoint(1.0, 5, "", 1.0)]}, "x", "y", "test", "")
    lines = [
        [float(x) for x in re.findall(r"[ML] ([\d.]+) ", path)]
        for path in re.findall(
            r'<path d="([^"]*)" clip-path="[^"]*" style="[^"]*stroke: var', drawn
        )
    ]
    low, middle, high = next(line for line in lines if len(line) == 3)
    assert low < high < middle


def test_a_logarithmic_axis_has_plain_numbers() -> None:
    points = [ReportPoint(1.0, 90.0, "", 1.0), ReportPoint(2.0, 2300.0, "", 2.0)]
    drawn = draw_lines({"one": points}, "x", "y", "test", "")
    labels = re.findall(r">([^<]+)</text>", drawn)
    assert {"100", "1000", "2000"} <= set(labels) and not [text for text in labels if "$" in text]


def test_hostile_text_is_inert() -> None:
    for spoil in (spoil_texts, spoil_models):
        made = streams.stream()
        spoil(made)
        assert_inert(report(made))
    cells = sweep().cells
    plan = Plan(
        cells=tuple(msgspec.structs.replace(c, model=EVIL_HTML) for c in cells),
        iterations=12,
        warmup=1,
    )
    made = streams.stream(plan)
    assert isinstance(made[0], events.SessionHeader)
    made[0].session = EVIL_HTML
    for event in made:
        if isinstance(event, events.Telemetry):
            event.label = EVIL_HTML
        if isinstance(event, events.CellFinished) and event.cell == "c002":
            event.status, event.reason = "failed", EVIL_HTML
    body = report(made)
    assert_inert(body)
    assert "&lt;script&gt;" in body


def test_every_value_of_the_page_is_escaped_where_it_stands() -> None:
    """Text, attributes and the title alike, whatever the value's own limit is."""
    made = streams.stream(sweep())
    assert isinstance(made[0], events.SessionHeader)
    evil = "<b>cpu</b> & 'quoted' \"twice\" \x1b[2J\u202e"
    made[0].machine = msgspec.structs.replace(made[0].machine, cpu=evil)
    for event in made:
        if isinstance(event, events.CellFinished) and event.cell == "c001":
            event.status, event.reason = "failed", "{{ title }} <i>" + "x" * 1000
    body = render_page(fold_all(made), FinalMetrics(), "{% raw %} <u>").decode()
    assert "&lt;b&gt;cpu&lt;/b&gt; &amp; &#39;quoted&#39; &#34;twice&#34; \\x1b[2J\\u202e" in body
    assert "<title>{% raw %} &lt;u&gt; · txtop</title>" in body
    assert "{{ title }} &lt;i&gt;xxx" in body and "x" * 501 not in body
    assert_inert(body)


def test_a_thousand_cells_stay_under_two_megabytes() -> None:
    body = report(streams.stream(sweep(count=125, batches=(1, 2), iterations=3)))
    assert len(body) < MOST_BYTES and body.count("<tr>") == 1001


def test_a_long_cell_is_thinned() -> None:
    body = report(streams.stream(streams.plan(("gpt2",), iterations=4_000)))
    assert len(body) < 400_000


def test_the_command_writes_the_file_and_says_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command_line(["report", "bert-lengths"]) == 0
    assert "bert-lengths.html" in capsys.readouterr().err
    assert (tmp_path / "bert-lengths.html").read_bytes().startswith(b"<!doctype html>")
    assert run_command_line(["report", "bert-lengths", "--output", "no/such/folder.html"]) == 2
