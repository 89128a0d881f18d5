"""The explanation on the screen: bar, findings, the tree that opens, x on a cell, the trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from support import ui_sessions
from support.explanations import (
    build_explained_session,
    list_explained_events,
    phase,
    session,
)
from support.pilot import opened, session_screen, text, until
from support.scenes import explained, recording
from txtop.analysis.roofline import LOW_PEAK
from txtop.cli.progress_lines import describe_activity
from txtop.protocol import events
from txtop.protocol.events import ModuleTime
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import Glyphs
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.view import Playback, build_view
from txtop.ui.models.why import build_why
from txtop.ui.modes import LiveMode, ReplayMode
from txtop.ui.panels import why
from txtop.ui.panels.why import list_visible, render_why


def render(width: int, height: int, **how: bool) -> list[str]:
    view = build_view(build_explained_session()).why
    area = Area(width, height, Glyphs("braille"), boxed=height > 20)
    rows = render_why(view, area, frozenset({"transformer"}), "", **{"tree": False, **how})
    return ["".join(span for span, _ in row) for row in rows]


def test_a_small_panel_has_the_bar_of_a_decode_step_and_the_findings() -> None:
    lines = render(80, 9)
    assert len(lines) == 9 and {len(line) for line in lines} == {80}
    assert "decode step 26.0 ms" in lines[1] and "MLP 54 %" in lines[3]
    assert "costs a request at most" in lines[4]
    assert "35 %  fp32 where bf16 is fast" in lines[5]


def test_cures_are_shown_as_soon_as_their_findings_fit_whole() -> None:
    assert "try  --threads 2" not in "\n".join(render(120, 12))
    assert "try  --threads 2" in "\n".join(render(120, 13))


NOTES = (
    "the parts of the decode step were multiplied by 0.91: the machine was not as fast in the"
    " passes that time the modules",
    "the median decode step took 12.1 ms, not 10: something else used the machine",
)


def test_notes_are_whole_and_come_before_the_last_findings() -> None:
    view = build_view(build_explained_session()).why
    assert view is not None
    for width, height in ((80, 9), (80, 20), (120, 20)):
        for notes in (NOTES[:1], NOTES[1:]):
            rows = render_why(
                replace(view, notes=notes),
                Area(width, height, Glyphs("braille")), frozenset(), "", tree=False,
            )  # fmt: skip
            text_of = " ".join("".join(part for part, _ in row).strip() for row in rows)
            assert notes[0] in text_of, text_of
    both = render_why(
        replace(view, notes=NOTES),
        Area(80, 9, Glyphs("braille")), frozenset(), "", tree=False,
    )  # fmt: skip
    assert "1 more note" in "".join(part for part, _ in both[-1])


def test_a_small_screen_has_every_note_whole_before_the_tree_has_rows() -> None:
    view = build_view(build_explained_session()).why
    assert view is not None
    notes = (*NOTES, NOTES[0].replace("decode step", "prefill"))
    rows = render_why(
        replace(view, notes=notes), Area(80, 21, Glyphs()), frozenset(), "", tree=True
    )
    text_of = " ".join("".join(part for part, _ in row).strip() for row in rows)
    assert all(note in text_of for note in notes) and "more note" not in text_of
    assert "35 %  fp32 where bf16 is fast" in text_of


def test_rows_that_are_left_go_to_evidence_that_is_cut() -> None:
    lines = render(80, 9)
    assert lines[5].rstrip().endswith("fp32 matrices, and")
    assert lines[6].strip() == "this device has units for bf16"
    assert all(line.count("…") <= 1 for line in lines)


def test_a_large_one_has_evidence_what_to_try_and_the_tree() -> None:
    shown_lines = "\n".join(render(120, 36))
    for part in ("prefill", "1 thread on 2 cores", "try  --threads 2", "▾ transformer", "▸ h.2"):
        assert part in shown_lines
    assert "▸ h.2" not in "\n".join(render(120, 20))


def test_the_step_that_takes_the_most_of_a_request_stands_first_and_is_that_of_the_tree() -> None:
    modules = [ModuleTime(path="h", kind="rest", ns=900, own_ns=900, calls=1.0)]
    for prefill_ns, first in ((9_000, "decode step"), (90_000, "prefill")):
        both = phase("prefill", step_ns=prefill_ns, modules=modules), phase(modules=modules)
        view = build_view(session(*both)).why
        assert view is not None and view.bars[0].name == first and len(view.bars) == 2
        assert view.modules[0].share == 900 / (1000 if first == "decode step" else prefill_ns)
        rows = render_why(view, Area(120, 36, Glyphs("braille")), frozenset(), "", tree=True)
        lines = ["".join(part for part, _ in row) for row in rows]
        assert any(f"the modules of the model in a {first}" in line for line in lines)


def test_a_module_shows_its_own_once_it_is_open() -> None:
    view = build_view(build_explained_session()).why
    assert view is not None
    assert [row.path for row in list_visible(view, frozenset())] == ["transformer", "lm_head"]
    names = [row.name for row in list_visible(view, frozenset({"transformer", "transformer.h.1"}))]
    assert names == ["transformer", "h.0", "h.1", "mlp", "attn", "h.2", "ln_f", "lm_head"]
    kinds = {row.name: row.kind for row in view.modules}
    assert (kinds["mlp"], kinds["attn"], kinds["h.1"]) == ("MLP", "attention", ""), (
        "as the bar calls them, and nothing where the name says it"
    )


def test_the_explanation_of_another_cell_that_disproves_the_peak_is_noted_at_once() -> None:
    part = events.StepPart(kind="mlp", ns=1000, read_bytes=100)
    state, cache = session(phase(parts=[part])), FrameCache()
    fold(state, events.DevicePeaks(
        t_ns=3, device="d", source="probe", bandwidth_bytes_per_s=5e8, flops_per_s={}, threads=1,
    ))  # fmt: skip
    own = state.cells["c1"]
    before = build_why(state, own, cache)
    assert before is not None and before is build_why(state, own, cache)
    state.cells["c2"] = own
    state.explanations["c2"] = events.Explanation(t_ns=4, cell="c2", phases=[phase()])
    after = build_why(state, own, cache)
    assert after is not None
    assert [LOW_PEAK in note for note in after.notes] == [True] and not before.notes


def test_a_cell_without_an_explanation_says_how_to_have_one() -> None:
    assert (
        "press x to explain it"
        in render_why(None, Area(80, 4, Glyphs("braille")), frozenset(), "", tree=False)[1][1][0]
    )
    state = session()
    state.explanations["c1"] = events.Explanation(t_ns=5, cell="c1", failed="no memory")
    view = build_view(state).why
    assert view is not None and view.is_missing
    assert view.pending == "not explained: no memory; press x to explain it in a new run"


def test_what_is_awaited_is_what_the_explanation_is_at_and_ends_with_the_run() -> None:
    made = [one for one in list_explained_events() if not isinstance(one, events.Explanation)]
    end = made.pop()
    assert isinstance(end, events.SessionEnded)
    state = fold_all(made)
    assert pending(state) == "measured; its explanation follows"
    at = f"{events.EXPLAINING}timing the prefill"
    fold(state, say_step(at, next(iter(state.cells)), end.t_ns))
    assert pending(state) == at and describe_activity(state) == at
    over = Playback(position_ns=9, duration_ns=9)
    assert "the run ended before the profile" in pending(state, over), "a log without an end"
    fold(state, end)
    assert "the run ended before the profile" in pending(state)
    assert describe_activity(state) == ""


def test_each_of_two_cells_shows_its_own_step() -> None:
    made = ui_sessions.session(cells=2)
    header, end = made[0], made.pop()
    assert isinstance(header, events.SessionHeader)
    header.plan = msgspec.structs.replace(header.plan, explain=True)
    state = fold_all(made)
    first, second = state.cells
    fold(state, say_step("loading", first, end.t_ns))
    assert list_pending(state) == ["loading", "measured; its explanation follows"]
    fold(state, events.Log(t_ns=end.t_ns, text="a warning", cell=first))
    fold(state, say_step("profiling", second, end.t_ns))
    assert list_pending(state) == ["loading", "profiling"]
    assert describe_activity(state) == "profiling"
    fold(state, events.Explanation(t_ns=end.t_ns, cell=second, failed="no memory"))
    assert describe_activity(state) == "loading", "of a cell that is explained nothing is awaited"


def list_pending(state: SessionState) -> list[str]:
    views = [build_why(state, own, FrameCache()) for own in state.cells.values()]
    return [view.pending for view in views if view is not None]


def say_step(text: str, cell: str, t_ns: int) -> events.Log:
    return events.Log(t_ns=t_ns, text=text, cell=cell, explains=True)


def test_a_cell_that_failed_is_not_awaited() -> None:
    made = ui_sessions.session(cells=1)
    header = made[0]
    assert isinstance(header, events.SessionHeader)
    header.plan = msgspec.structs.replace(header.plan, explain=True)
    (cell,) = header.plan.cells
    state = fold_all([header])
    fold(state, events.CellFinished(t_ns=header.t_ns + 1, cell=cell.id, status="oom"))
    assert pending(state) == "not explained: the cell was not measured (oom)"


def pending(state: SessionState, playback: Playback | None = None) -> str:
    view = build_view(state, playback=playback).why
    assert view is not None
    return view.pending


def test_thresholds_have_the_rows_that_are_left() -> None:
    assert "Reported when" not in "\n".join(render(120, 14))
    assert "Reported when matrix products take 50 %" in "\n".join(render(120, 36))


async def test_the_panel_opens_and_its_tree_with_it(tmp_path: Path) -> None:
    async with opened(explained(tmp_path), (120, 40)) as (app, pilot):
        await until(pilot, lambda: "decode step" in text(app) and "fp32 where" in text(app))
        await pilot.press("6")
        screen = session_screen(app)
        await until(pilot, lambda: screen.panel_now == "why" and "▸ h.0" in text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: "▾ h.0" in text(app))
        await pilot.press("left")
        await until(pilot, lambda: "▾ h.0" not in text(app))
        await pilot.press("1")
        await until(pilot, lambda: screen.panel_now == "cells")


@pytest.mark.parametrize("where", ["bundled", "elsewhere", "run"])
async def test_x_starts_a_run_that_explains_the_cell(
    where: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[object] = []
    monkeypatch.setattr(
        "txtop.ui.screens.single_session.SingleSessionScreen.switch_mode",
        lambda _screen, mode: started.append(mode),
    )
    opening = recording("gpt2-precisions", "0:30")(Path())
    if where != "bundled":
        (bundled,) = opening.paths
        path = tmp_path / "elsewhere" / "session.jsonl"
        path.parent.mkdir()
        path.write_bytes(bundled.read_bytes())
        opening = LiveMode(path=path) if where == "run" else ReplayMode(path)
    async with opened(opening, (120, 40)) as (app, pilot):
        await until(pilot, lambda: "gpt2" in text(app))
        await until(pilot, lambda: not opening.going)
        await pilot.press("x")
        await until(pilot, lambda: bool(started))
    (mode,) = started
    assert isinstance(mode, LiveMode)
    # A recording may lie anywhere, also among those that ship: what is new goes to the user's.
    assert mode._session_dir == (tmp_path / "elsewhere" if where == "run" else None)
    plan = mode._plan
    assert plan is not None and plan.explain and len(plan.cells) == 1


async def test_x_explains_anew_what_was_to_be_explained_and_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    started: list[object] = []
    monkeypatch.setattr(
        "txtop.ui.screens.single_session.SingleSessionScreen.switch_mode",
        lambda _screen, mode: started.append(mode),
    )
    made = [
        events.Explanation(t_ns=one.t_ns, cell=one.cell, failed="killed")
        if isinstance(one, events.Explanation)
        else one
        for one in list_explained_events()
    ]
    async with opened(ReplayMode(ui_sessions.write(tmp_path / "s", made)), (120, 40)) as (
        app,
        pilot,
    ):
        await pilot.press("end")
        await until(pilot, lambda: "not explained: killed" in text(app))
        await pilot.press("x")
        await until(pilot, lambda: bool(started))


def test_the_width_of_a_bar_is_its_share() -> None:
    pieces = why._render_bar(
        why.StepBar("decode step", "1", (("a", 0.75, 0.0), ("b", 0.25, 0.0)), ""),
        40,
        Glyphs("braille"),
    )[1]
    assert [len(span) for span, _ in pieces] == [30, 10]


def test_a_fifth_piece_of_a_bar_is_told_from_the_first() -> None:
    bar = why.StepBar("decode step", "1", tuple((name, 0.2, 0.0) for name in "abcde"), "")
    pieces = why._render_bar(bar, 40, Glyphs("braille"))[1]
    assert len(pieces) == len(set(pieces)) == 5
