"""The home screen's list of sessions, its start panel and its findings, without a terminal."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from support import ab_sessions, race_session
from support.panels import EVIL, MODES, check_rows
from support.paths import SERVING_RECORDING
from support.ui_sessions import session
from support.waiting import wait_until
from txtop.analysis import metrics
from txtop.analysis.tuning import find_result
from txtop.formatting import format_number
from txtop.options.presets import PRESETS
from txtop.protocol import events
from txtop.protocol.events import AnyEvent
from txtop.session import catalog
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.ui import outcome_reader, start_facts
from txtop.ui.doctor_probe import DoctorProbe, Finding, parse_findings
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import Row, measure_row, merge_spans
from txtop.ui.home_source import HomeSource, build_listed_session
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.comparability import describe_comparability
from txtop.ui.models.home import ListedSession, StartFacts
from txtop.ui.models.session_list import SessionList
from txtop.ui.models.session_outcome import (
    NO_OUTCOME,
    OutcomeCell,
    build_session_outcome,
    compute_final_figures,
)
from txtop.ui.models.view import SideBySideView, View
from txtop.ui.outcome_reader import OutcomeReader
from txtop.ui.panels import header, session_list, start_menu
from txtop.ui.panels.session_outcome import render_outcome_cells

NOW_S = 1_795_000_000.0
ONE = ListedSession(
    path=Path("/s/one"),
    label="one",
    models="gpt2",
    wall_s=NOW_S - 60,
    cells_ok=2,
    cells_total=2,
    stage="done",
    bundled=False,
    precisions="fp32 bf16",
    size_bytes=1 << 20,
)
TWO = replace(ONE, path=Path("/s/two"), label="two", models="bert-base-uncased", stage="running")
THREE = replace(ONE, path=Path("/s/three"), label="three", stage="cut off", cells_ok=1)
DEMO = replace(ONE, path=Path("/s/demo"), label="demo", bundled=True)
WRONG = replace(ONE, path=Path("/s/x"), label=EVIL, models=EVIL, precisions=EVIL, cells_ok=1)
ALL = (TWO, ONE, THREE, WRONG, DEMO)


def text(rows: list[Row]) -> str:
    return "\n".join("".join(part for part, _ in row) for row in rows)


def listing(*items: ListedSession) -> SessionList:
    sessions = SessionList()
    sessions.take(items)
    return sessions


def drawn(
    sessions: SessionList, width: int = 80, height: int = 16, mode: GlyphMode = "braille"
) -> str:
    return text(
        session_list.render_session_list(sessions, False, NOW_S, Area(width, height, Glyphs(mode)))
    )


def test_the_selected_session_stays_selected_when_the_list_changes() -> None:
    sessions = listing(ONE, TWO)
    sessions.move(1)
    sessions.take((THREE, ONE, TWO))
    assert sessions.selected is TWO and sessions.at == 2
    sessions.take((THREE,))
    assert sessions.selected is THREE
    sessions.take(())
    assert sessions.selected is None
    sessions.move(5)
    assert sessions.at == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ALL),
        ("bert", (TWO,)),
        ("GPT2 bf16", (ONE, THREE, DEMO)),
        ("gpt2 cut", (THREE,)),
        ("demo", (DEMO,)),
        ("gpt2 bert", ()),
    ],
)
def test_every_word_must_be_there(query: str, expected: tuple[ListedSession, ...]) -> None:
    sessions = listing(*ALL)
    sessions.find(query)
    assert sessions.matching == expected
    sessions.move(100)
    assert sessions.selected is (expected[-1] if expected else None)
    sessions.find("")
    assert sessions.selected is (expected[-1] if expected else sessions.matching[0])


def test_two_are_marked_and_a_third_takes_the_place_of_the_first() -> None:
    sessions = listing(ONE, THREE, DEMO)
    assert "mark two" in str(sessions.pair())
    for _ in range(3):
        sessions.mark()
        sessions.move(1)
    assert sessions.pair() == (THREE, DEMO)
    sessions.mark()
    assert sessions.marked == [THREE.path]
    sessions.take((ONE,))
    assert sessions.marked == []


def test_one_that_runs_is_not_compared() -> None:
    sessions = listing(TWO, ONE)
    sessions.mark()
    sessions.move(1)
    sessions.mark()
    assert sessions.pair() == "two is running: it is compared when it has ended"


def test_what_a_newcomer_asks_is_answered() -> None:
    sessions = listing(*ALL)
    screen = drawn(sessions)
    assert "running" in screen and "cut off" in screen and "2/2" in screen and "demo" in screen
    assert "bert-base-uncased · fp32 bf16" in screen and "2 of 2 cells" in screen
    assert "attach (the run" in screen
    sessions.move(1)
    assert (
        "enter" in drawn(sessions) and "replay" in drawn(sessions) and "1.0 MiB" in drawn(sessions)
    )
    sessions.move(1)
    assert "R measures the rest" not in drawn(sessions)  # there is no such folder
    sessions.move(2)
    assert "bundled example" in drawn(sessions)
    assert "no session yet: press r" in drawn(listing(DEMO))
    sessions.find("nothing of the kind")
    assert "no matching session" in drawn(sessions) and "esc shows all" in drawn(sessions)


def test_a_session_with_a_failed_cell_is_not_ticked_off() -> None:
    rows = session_list.render_session_list(
        listing(WRONG, ONE), False, NOW_S, Area(60, 8, Glyphs())
    )
    assert [row[2] for row in rows[:2]] == [(" ▲ ", "warn"), (" ✓ ", "muted")]
    rows = session_list.render_session_list(
        listing(replace(ONE, cells_ok=0)), False, NOW_S, Area(60, 8, Glyphs())
    )
    assert rows[0][2] == (" ✗ ", "bad")


def test_a_search_is_ticked_off_with_its_probes() -> None:
    search = replace(ONE, cells_total=6, is_search=True, counted="6 probes")
    area = Area(60, 16, Glyphs())
    rows = session_list.render_session_list(listing(search), False, NOW_S, area)
    assert rows[0][2] == (" ✓ ", "muted") and "6 probes" in text(rows[:1])
    assert "6 probes · " in text(rows) and "cells" not in text(rows)
    nothing = replace(search, cells_ok=0)
    rows = session_list.render_session_list(listing(nothing), False, NOW_S, area)
    assert rows[0][2] == (" ✗ ", "bad")


def test_a_race_that_names_nobody_is_not_ticked_off() -> None:
    state, cache = fold_all(race_session.Race().events()), FrameCache()
    for _ in compute_final_figures(state, cache):
        pass
    named = build_session_outcome(state, cache)
    assert state.race is not None
    state.race.race.candidates.clear()
    nobody = build_session_outcome(state, cache)
    assert nobody.value == "no result"
    for outcome, mark in ((named, (" ✓ ", "muted")), (nobody, (" ✗ ", "bad"))):
        item = replace(ONE, outcome=outcome)
        rows = session_list.render_session_list(listing(item), False, NOW_S, Area(60, 8, Glyphs()))
        assert rows[0][2] == mark


def test_marks_are_letters() -> None:
    sessions = listing(ONE, THREE)
    sessions.mark()
    sessions.move(1)
    sessions.mark()
    lines = drawn(sessions).splitlines()
    assert lines[0].startswith(" A ✓") and lines[1].startswith("▸B ✗")


@pytest.mark.fault(18)
@pytest.mark.fault(33)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(1, 1), (7, 3), (34, 12), (44, 16), (80, 24), (250, 80)])
def test_every_row_is_inert_and_as_wide_as_asked(mode: GlyphMode, size: tuple[int, int]) -> None:
    g = Glyphs(mode)
    for at in range(len(ALL)):
        sessions = listing(*ALL)
        sessions.move(at)
        sessions.mark()
        for typing in (False, True):
            sessions.find("" if at % 2 else EVIL)
            rows = session_list.render_session_list(sessions, typing, NOW_S, Area(*size, g))
            check_rows({"sessions": [merge_spans(row, size[0]) for row in rows[: size[1]]]}, *size)
    findings = (Finding("broken", EVIL, EVIL), Finding("missing", "gpu", "none"))
    pair = SideBySideView(View(name=EVIL), View(name=EVIL * 5), EVIL * 3, "warn")
    panels = {
        "start": start_menu.render_start_menu(PRESETS["quick"], Area(*size, g))[: size[1]],
        "findings": [
            start_menu.render_findings(findings, size[0], g),
            start_menu.render_findings(None, size[0], g),
        ][:1],
        "pair": header.render_side_by_side_header(pair, size[0], g),
    }
    check_rows(
        {name: [merge_spans(row, size[0]) for row in rows] for name, rows in panels.items()}, *size
    )


def test_the_start_panel_names_its_keys_and_every_preset() -> None:
    menu = text(start_menu.render_start_menu(PRESETS["quick"], Area(60, 30, Glyphs())))
    assert [line[0] for line in menu.splitlines() if line[:1].strip()] == ["r", "a", "d", "b"]
    assert all(name in menu for name in ("bert-seqlen", "families", "batch-tradeoff"))
    at = [
        start_menu.find_start_key(y, PRESETS["quick"], Area(60, 30, Glyphs()))
        for y in range(-1, 30)
    ]
    assert "".join(at) == "rr" + "aa" + "dd" + "b" * 14 and at[0] == at[-1] == ""
    short = start_menu.render_start_menu(PRESETS["quick"], Area(32, 12, Glyphs()))
    assert len(short) <= 12 and all(short)


@pytest.mark.parametrize("size", [(34, 16), (50, 25), (88, 42)])
def test_the_text_of_a_preset_is_whole_or_not_there(size: tuple[int, int]) -> None:
    rows = start_menu.render_start_menu(PRESETS["quick"], Area(*size, Glyphs()))
    assert len(rows) <= size[1] and "…" not in text(rows)
    menu = " ".join(text(rows).split())
    assert (PRESETS["families"].title.split()[-1] in menu) == (size[0] >= 50)


def test_presets_say_how_long_they_take_and_models_what_they_are() -> None:
    models = tuple((f"model-{i}", "decoder, 124 M parameters, built-in") for i in range(9))
    starts = StartFacts({"families": "up to 7 min, plus loading"}, models)
    small, large = (
        text(start_menu.render_start_menu(PRESETS["quick"], Area(42, height, Glyphs()), starts))
        for height in (22, 30)
    )
    for menu in (small, large):
        assert re.search(r"families +up to 7 min, plus loading\n +GPT-2, BERT, T5", menu), menu
    assert "models here" not in small and "model-3" in large and "and 5 more" in large
    assert len(large.splitlines()) <= 30
    for height in range(12, 40):
        rows = start_menu.render_start_menu(PRESETS["quick"], Area(42, height, Glyphs()), starts)
        assert len(rows) <= height


def test_a_time_that_is_too_long_keeps_what_is_known_of_it() -> None:
    starts = StartFacts(dict.fromkeys(PRESETS, "up to 12 min, plus loading"))
    for width in range(42, 60):
        rows = start_menu.render_start_menu(PRESETS["quick"], Area(width, 30, Glyphs()), starts)
        assert text(rows).count("up to 12 min") == len(PRESETS) - 1, width
        assert all(measure_row(row) <= width for row in rows)


def test_start_facts_come_one_by_one_once_every_outcome_is_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(HomeSource, "_start", lambda _self, _interval_s: None)
    source = HomeSource(tmp_path, findings=())
    while source.starts is None or not source.starts.models:
        source.update()
        assert source.starts is None or not source.outcomes.waiting
    assert {"quick", *source.starts.times} == set(PRESETS) and "quick" not in source.starts.times
    assert source.starts.times["families"].startswith(("up to ", "about "))
    assert dict(source.starts.models)["gpt2"] == "decoder, 124 M parameters, built-in"


def test_a_fact_that_cannot_be_looked_up_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError("no such disk")

    monkeypatch.setattr(start_facts, "estimate_duration", fail)
    monkeypatch.setattr(start_facts, "find_family", fail)
    *_, last = start_facts.gather_start_facts(None)
    assert set(last.times.values()) == {""} and last.models == ()


def test_sessions_behind_one_without_an_outcome_are_shown_whole() -> None:
    sessions = SessionList()
    later = [
        replace(ONE, path=Path("/s/b"), label="unread", outcome=None),
        replace(
            ONE, path=Path("/s/c"), label="torn", stage="unreadable", models="no header",
            outcome=NO_OUTCOME,
        ),
        replace(ONE, path=Path("/s/d"), label="last", outcome=NO_OUTCOME),
    ]  # fmt: skip
    sessions.take([ONE, *later])
    rows = text(session_list.render_session_list(sessions, False, NOW_S, Area(80, 40, Glyphs())))
    assert "─ torn ─" in rows and "cannot be read: no header" in rows and "─ last ─" in rows
    assert "─ unread ─" not in rows and rows.count("enter ") == 1


def probed(*entries: tuple[str, str, str]) -> bytes:
    names = ("capability", "state", "detail")
    return "\n".join(json.dumps(dict(zip(names, e, strict=True))) for e in entries).encode()


def test_what_is_broken_is_said_first() -> None:
    findings = parse_findings(
        probed(
            ("cpu", "ok", "a CPU"),
            ("cpu power", "missing", "no RAPL counters"),
            ("gpu", "missing", "no NVIDIA library"),
            ("memory", "broken", "its use cannot be read\x1b[31m"),
        )
    )
    assert [finding.what for finding in findings] == ["memory", "gpu", "cpu power", "cpu"]
    row = start_menu.render_findings(findings, 200, Glyphs())
    assert ("   ▲ ", "warn") in row and "\\x1b" in text([row])
    assert text([row]).rstrip().endswith("more: txtop doctor")
    narrow = text([start_menu.render_findings(findings, 60, Glyphs())])
    assert "memory: its use" in narrow and "RAPL" not in narrow


@pytest.mark.parametrize("junk", [b"", b"{", b"[]", b'{"capabilities": 3}', b"\xff", b"[" * 99999])
def test_a_probe_that_says_nothing_sound_is_broken(junk: bytes) -> None:
    assert [finding.state for finding in parse_findings(junk)] == ["broken"]


def test_the_doctor_comes_when_asked_and_is_never_waited_for() -> None:
    late = DoctorProbe(after_s=3600.0)
    assert not late.poll() and late.findings is None
    doctor = DoctorProbe(after_s=0.0)
    try:
        assert not doctor.poll()
        wait_until(doctor.poll)
        assert doctor.findings and {"cpu", "memory"} <= {
            finding.what for finding in doctor.findings
        }
        assert not doctor.poll()
    finally:
        doctor.close()


def state(made: list[AnyEvent]) -> SessionState:
    return fold_all(made)


def on_another_cpu(made: list[AnyEvent]) -> list[AnyEvent]:
    return [
        msgspec.structs.replace(event, device_name="Another CPU")
        if isinstance(event, events.ModelLoaded)
        else event
        for event in made
    ]


def test_half_a_reason_is_left_out_of_the_header_of_two_sessions() -> None:
    why = "not comparable: no cell in common"
    pair = SideBySideView(View(name="one"), View(name="two"), why, "warn")
    wide, small = (
        "".join(part for part, _ in header.render_side_by_side_header(pair, width, Glyphs())[0])
        for width in (100, 40)
    )
    assert why in wide
    assert "not comparable " in small and "…" not in small


def test_two_sessions_say_whether_they_can_be_compared() -> None:
    one, longer = state(session(cells=2)), state(session(cells=3))
    assert describe_comparability(one, state(session(cells=2))) == ("comparable", "muted")
    assert describe_comparability(one, state(session(model="bert"))) == (
        "not comparable: no cell in common",
        "warn",
    )
    reason, level = describe_comparability(one, longer)
    assert (reason, level) == ("2 of 3 cells comparable: 1 in one of them alone", "warn")
    reason, _ = describe_comparability(one, state(on_another_cpu(session(cells=2))))
    assert reason == "not comparable: another device: An Invented CPU against Another CPU"
    reason, _ = describe_comparability(one, state(session(cells=2, error="it broke")))
    assert reason == "1 of 2 cells comparable: no result in B: failed"
    assert describe_comparability(SessionState(), SessionState()) == (
        "not comparable: no cell in common",
        "warn",
    )


BUNDLED = catalog.list_bundled()


def read_outcomes(*paths: Path) -> dict[str, ListedSession]:
    """Return sessions by their name with their outcomes, read to the end."""
    reader = OutcomeReader()
    items = [replace(ONE, path=path, label=catalog.get_session_id(path)) for path in paths]
    reader.take(items)
    while reader.step() or reader.waiting:
        pass
    return {item.label: reader.join(item) for item in items}


@pytest.fixture(scope="module")
def bundled() -> dict[str, ListedSession]:
    return read_outcomes(*BUNDLED)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smollm2-int8", "A/B 1.92x int8:torch-dynamic ✗ broken"),
        ("gpt2-serving", "71.9 tok/s continuous 8 clients"),
        ("gpt2-precisions", "24.4 tok/s bf16"),
        ("bert-lengths", "3.93 seq/s 128 tokens · b4"),
        ("minilm-task", "184 seq/s int8 ≈ −1.1 pt"),
    ],
)
def test_each_session_in_the_list_has_its_outcome(
    bundled: dict[str, ListedSession], name: str, expected: str
) -> None:
    assert expected in drawn(listing(bundled[name]), width=120)


def test_the_figures_of_the_list_are_those_of_every_table(
    bundled: dict[str, ListedSession],
) -> None:
    for name in ("gpt2-precisions", "smollm2-int8"):
        events_of, _ = read_all(bundled[name].path)
        state = fold_all(events_of)
        outcome = bundled[name].outcome
        assert outcome is not None
        for listed, cell in zip(outcome.cells, state.cells.values(), strict=True):
            final = metrics.summarise_final(cell)[metrics.choose_headline_metric(cell)]
            assert final.mean is not None and listed.rate == format_number(final.mean)
            assert bool(listed.half) == (final.ci95 is not None)


@pytest.mark.parametrize("width", [40, 45, 66, 112])
def test_a_speed_is_never_listed_without_its_badge(
    bundled: dict[str, ListedSession], width: int
) -> None:
    line = drawn(listing(bundled["smollm2-int8"]), width=width).splitlines()[0]
    assert "1.92x" in line and "✗" in line.partition("1.92x")[2]


def test_the_cells_of_the_selected_session_have_bars_on_one_scale(
    bundled: dict[str, ListedSession],
) -> None:
    lines = drawn(listing(bundled["gpt2-serving"]), width=66, height=22).splitlines()
    bars = {
        line.split()[0]: line.count("━") for line in lines if "clients" in line or "client" in line
    }
    assert bars["continuous"] > 2 * bars["dynamic"] > 2 * bars["single"] > 0
    verdict = drawn(listing(bundled["smollm2-int8"]), width=80, height=22)
    assert "1.92x  B is faster, but its output is BROKEN" in verdict


@pytest.mark.parametrize(("width", "note"), [(80, "✗ broken"), (32, "✗")])
def test_a_badge_that_has_no_room_keeps_its_sign(
    bundled: dict[str, ListedSession], width: int, note: str
) -> None:
    item = bundled["smollm2-int8"]
    assert item.outcome is not None
    rows = text(render_outcome_cells(item.outcome, width, 5, Glyphs("braille"))).splitlines()
    assert next(row for row in rows if row.startswith("B ")).rstrip().endswith(f" {note}")


def list_bundled(width: int, height: int = 20, selected: str = "") -> list[str]:
    """Return the lines of the list of bundled sessions as the home screen has them."""
    reader = OutcomeReader()
    items = [build_listed_session(entry) for entry in catalog.list_recent(30, Path("/nowhere"))]
    reader.take(items)
    while reader.step() or reader.waiting:
        pass
    sessions = listing(*map(reader.join, items))
    if selected:
        sessions.move([item.label for item in sessions.matching].index(selected) - sessions.at)
    return drawn(sessions, width=width, height=height).splitlines()


@pytest.mark.parametrize(
    ("width", "models"),
    [
        (110, ["SmolLM2-135M-Instruct …GPTQ …CT ", "bert-base-uncased ", "all-MiniLM-L6-v2 "]),
        (
            70,
            ["SmolLM2-135M…       A/B 1.92x ✗ broken", "bert-base-uncased ", "tok/s ✗ −29.7 pt"],
        ),
        (64, ["SmolLM2…      A/B 1.92x ✗ broken", "bert-base…", "tok/s ✗ −29.7 pt"]),
    ],
)
def test_names_of_models_are_cut_as_little_as_the_row_permits(
    width: int, models: list[str]
) -> None:
    """A row has what `width` columns hold beside the date, the name, and the badge in words."""
    rows = [line for line in list_bundled(width) if " demo " in line]
    assert rows and all(any(model in row for row in rows) for model in models), rows


@pytest.mark.parametrize("width", [44, 64, 110, 150])
def test_the_columns_stay_where_they_are_when_outcomes_come(
    bundled: dict[str, ListedSession], width: int
) -> None:
    waiting = [replace(item, outcome=None) for item in bundled.values()]
    before, after = (
        session_list._choose_columns(listing(*items), NOW_S, width, Glyphs("braille"))
        for items in (waiting, bundled.values())
    )
    assert (before.when, before.name, before.models) == (after.when, after.name, after.models)


def test_names_of_cells_keep_what_differs_and_bars_have_the_rest() -> None:
    whole = [line for line in list_bundled(110, 30, "smollm2-quantised") if "tok/s  ±" in line]
    assert all(" cache " in line and "━━" in line for line in whole) and len(whole) > 5
    for width in (44, 64, 83):
        rows = list_bundled(width, 30, "smollm2-quantised")
        names = [line.split("  ")[0] for line in rows if "tok/s  " in line and "demo" not in line]
        assert len(names) > 6 and len(set(names)) == len(names), names


def test_signs_without_words_have_them_in_the_heading(bundled: dict[str, ListedSession]) -> None:
    sessions = listing(bundled["smollm2-task"], bundled["minilm-task"], bundled["smollm2-int8"])
    for width in (46, 70, 150):
        area = Area(width, 16, Glyphs("braille"))
        rows = session_list.render_session_list(sessions, False, NOW_S, area)
        legend = session_list.render_list_legend(sessions, False, rows, area, 33)
        assert len(legend) <= 33
        for meaning in ("✗ worse", "≈ undecided"):
            assert meaning in legend or meaning in text(rows), (width, meaning, legend)
        assert "○ weak" in legend or "○ only" in text(rows)


def test_a_doubt_about_the_rate_is_never_left_out() -> None:
    doubtful = ("gpt2-precisions",)
    for width in (44, 64, 110):
        lines = list_bundled(width, 20)
        rows = [line for line in lines if " demo " in line and any(n in line for n in doubtful)]
        assert rows and all(row.rstrip().split("/s")[1].strip(" ")[-1:] for row in rows)
        assert all("○" in row or "▲" in row for row in rows), rows


def test_a_server_that_did_not_keep_up_is_called_saturated() -> None:
    outcome = next(iter(read_outcomes(SERVING_RECORDING).values())).outcome
    assert outcome is not None
    assert outcome.badges == ("▲ saturated", "▲") and outcome.role == "warn"
    item = replace(ONE, outcome=outcome)
    for width in range(30, 120, 5):
        row = drawn(listing(item), width=width).splitlines()[0]
        assert "/s" not in row or "▲" in row, row
    assert "▲ saturated" in drawn(listing(item), width=120).splitlines()[0]


def test_of_a_race_the_outcome_is_who_is_named() -> None:
    state, cache = fold_all(race_session.Race().events()), FrameCache()
    for _ in compute_final_figures(state, cache):
        pass
    named = find_result(state)
    outcome = build_session_outcome(state, cache)
    assert named is not None and outcome.name == cache.names_apart(state)[named.winner.cell.id]
    rates = {cell.name: float(cell.rate.replace(",", "")) for cell in outcome.cells if cell.share}
    assert max(rates.values()) > rates[outcome.name], "the fastest is over a limit"


@pytest.mark.parametrize(
    ("judged", "badges", "role"),
    [
        (False, ("▲ busy", "▲"), "warn"),
        (True, ("≈ minor ▲ busy", "≈ minor ▲", "≈ ▲"), "text"),
    ],
)
def test_an_ab_on_a_busy_machine_says_so(judged: bool, badges: tuple[str, ...], role: str) -> None:
    made = ab_sessions.script(weights="checkpoint" if judged else "random").fidelity().begin()
    others = [events.Contention(kind="others", size=1.0)]
    calm = build_session_outcome(fold_all(deepcopy(made).blocks(12, 1.5).end()), FrameCache())
    made.blocks(11, 1.5).blocks(1, 1.5, contention=others)
    outcome = build_session_outcome(fold_all(made.end()), FrameCache())
    assert outcome.value == calm.value == "A/B 1.50x" and not any("▲" in b for b in calm.badges)
    assert (outcome.badges, outcome.role) == (badges, role)
    assert "▲ busy" in outcome.meanings and (" (busy)", "warn") in outcome.verdict
    for width in range(30, 120, 5):
        row = drawn(listing(replace(ONE, outcome=outcome)), width=width).splitlines()[0]
        assert "A/B 1.50x" not in row or "▲" in row, row


def test_the_value_is_of_one_length() -> None:
    outcome = read_outcomes(*BUNDLED)["bert-lengths"].outcome
    assert outcome is not None and outcome.name.startswith("128 tokens · ")


def test_a_reason_has_room_beside_badges(bundled: dict[str, ListedSession]) -> None:
    item = bundled["smollm2-int8"].outcome
    assert item is not None
    lost = OutcomeCell("fp16", "—", "", notes=("oom@load 3.1 GiB",), role="bad")
    outcome = replace(item, cells=(*item.cells, lost))
    for width, reason in ((110, "oom@load 3.1 GiB"), (64, "oom@load 3.1 GiB"), (44, "oom@load")):
        rows = text(render_outcome_cells(outcome, width, 9, Glyphs("braille"))).splitlines()
        assert reason in rows[-1] and any("✗" in row for row in rows), rows


def test_cells_without_room_are_counted(bundled: dict[str, ListedSession]) -> None:
    item = bundled["bert-lengths"]
    assert item.outcome is not None and len(item.outcome.cells) == 4
    rows = text(render_outcome_cells(item.outcome, 60, 3, Glyphs("braille")))
    assert len(rows.splitlines()) == 3 and rows.endswith("and 2 more")


def test_an_outcome_is_read_again_only_when_its_log_changed(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(BUNDLED[0].read_bytes())
    reader = OutcomeReader()
    item = replace(ONE, path=path)
    reader.take([item])
    while reader.waiting:
        reader.step()
    before = reader.join(item).outcome
    assert before is not None and before.value
    reader.take([item])
    assert not reader.waiting and reader.join(item).outcome is before
    path.write_bytes(b"{")
    reader.take([item])
    assert reader.waiting and reader.join(item).outcome is None
    reader.step()
    assert reader.join(item).outcome == NO_OUTCOME


def test_a_step_reads_for_a_while_and_no_longer() -> None:
    now_s = itertools.count(step=outcome_reader.STEP_S / 2)
    reader = OutcomeReader(clock=lambda: next(now_s))
    reader.take([replace(ONE, path=path) for path in BUNDLED])
    assert reader.waiting == len(BUNDLED)
    assert not reader.step() and reader.waiting == len(BUNDLED)


def test_the_first_outcome_does_not_wait_for_the_second() -> None:
    reader = OutcomeReader(clock=lambda: 0.0)
    reader.take([replace(ONE, path=path) for path in BUNDLED[:3]])
    assert reader.step() and reader.waiting == 2
    assert reader.step() and reader.waiting == 0


def test_neither_a_forecast_nor_numpy_delays_the_outcomes() -> None:
    command = (
        "import sys, txtop.ui.home_source, txtop.ui.models.session_outcome;"
        "print([name for name in ('numpy', 'txtop.forecast.memory') if name in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_the_preset_of_this_machine_comes_after_the_first_outcome(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(HomeSource, "_start", lambda _self, _interval_s: None)
    source = HomeSource(tmp_path, findings=())
    firsts = []
    while source.quick is None:
        source.update()
        firsts.append(any(item.outcome is not None for item in source.sessions or ()))
    assert firsts[:1] == [False] and firsts[-2:] == [True, True]


@pytest.mark.parametrize("width", range(38, 58))
def test_a_narrow_list_tells_sessions_apart(bundled: dict[str, ListedSession], width: int) -> None:
    """A name is cut only where the value and its badge need the room."""
    # A date, then a value with the signs of a badge and of a doubt.
    wide = width - 7 - session_list.LEAD_WIDTH - session_list.MIN_VALUE_WIDTH - 5
    rows = drawn(listing(*bundled.values()), width=width, height=9).splitlines()
    for (name, item), row in zip(bundled.items(), rows, strict=False):
        assert name in row or len(name) > wide, row
        assert item.outcome is not None
        assert all(badge[0] in row for badge in item.outcome.badges), row
