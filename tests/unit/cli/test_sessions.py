"""`txtop sessions`: list, search, rename, delete, and a warning when there are many."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from support import ab_sessions, fit_session, race_session, streams
from txtop.cli import session_args
from txtop.cli.app import run_command_line
from txtop.protocol import events
from txtop.session import catalog
from txtop.session.writer import LOG_NAME, create_session_folder
from txtop.ui.home_source import build_listed_session


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sessions"
    monkeypatch.setenv("TXTOP_SESSION_DIR", str(folder))
    for name, model in (("one", "gpt2"), ("two", "t5-small")):
        create_session_folder(folder / name)
        streams.write(folder / name / LOG_NAME, streams.stream(streams.plan((model,))))
    streams.write(folder / "bare.jsonl", streams.stream(streams.plan(("bert",))))
    return folder


def txtop(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_command_line(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_list_has_sizes_a_total_and_words_to_search(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = txtop(capsys, "sessions")
    assert code == 0 and "3 sessions, 0.0 MB in" in out and "bundled" in out
    assert {line.split()[0] for line in out.splitlines()} >= {"one", "two", "bare"}
    _, out, _ = txtop(capsys, "sessions", "T5", "done")
    assert [line.split()[0] for line in out.splitlines()] == ["two", "1"]
    _, out, _ = txtop(capsys, "sessions", "nothing-like-it")
    assert out == "no matching session\n"


def test_a_folder_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = txtop(capsys, "sessions", "--session-dir", str(tmp_path / "nowhere"))
    assert code == 0 and "no folder" in err and "bundled" in out


def test_a_renamed_session_goes_by_its_new_name_alone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert txtop(capsys, "sessions", "rename", "one", "first")[0] == 0
    assert txtop(capsys, "sessions", "rename", "bare", "bert")[0] == 0
    assert catalog.resolve_session("first") == home / "first"
    assert catalog.resolve_session("bert") == home / "bert.jsonl"
    assert txtop(capsys, "show", "one")[0] == 4
    code, _, err = txtop(capsys, "sessions", "rename", "first", "two")
    assert code == 2 and "exists already" in err
    assert txtop(capsys, "sessions", "rename", "first", "bert")[0] == 2


@pytest.mark.fault(17)
@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\0b", "x" * 300, "", ".hidden"])
def test_no_name_leaves_the_folder(
    home: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    before = sorted(home.rglob("*"))
    assert txtop(capsys, "sessions", "rename", "one", name)[0] == 2
    assert txtop(capsys, "sessions", "delete", name, "--yes")[0] in (2, 4)
    assert sorted(home.rglob("*")) == before


@pytest.mark.fault(17)
def test_a_link_out_of_the_folder_is_not_followed(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    create_session_folder(outside)
    streams.write(outside / LOG_NAME, streams.stream())
    (home / "link").symlink_to(outside)
    for arguments in (
        ("delete", "link", "--yes"),
        ("rename", "link", "x"),
        ("delete", str(outside)),
    ):
        code, _, err = txtop(capsys, "sessions", *arguments)
        assert code == 2 and "is not in" in err
    assert (outside / LOG_NAME).exists()
    code, _, err = txtop(capsys, "sessions", "delete", "gpt2-precisions", "--yes")
    assert code == 2 and "is not in" in err


def test_delete_asks_and_takes_only_what_a_session_has(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = txtop(capsys, "sessions", "delete", "one")
    assert code == 2 and "nothing was deleted" in err and (home / "one").exists()
    (home / "two" / "mine.txt").write_text("kept")
    code, _, err = txtop(capsys, "sessions", "delete", "one", "bare", "--yes")
    assert code == 0 and "free" in err
    assert sorted(p.name for p in home.iterdir()) == ["two"]
    code, _, err = txtop(capsys, "sessions", "delete", "two", "--yes")
    assert code == 1 and (home / "two" / "mine.txt").read_text() == "kept"


def test_what_may_not_be_changed_stays_whole(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deleting the files of a folder that must stay would lose a recording and free no name."""

    def refuse(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != home)
    monkeypatch.setattr(Path, "rename", refuse)
    for arguments in (("delete", "one", "--yes"), ("rename", "one", "x")):
        code, _, err = txtop(capsys, "sessions", *arguments)
        assert code == 1 and f"this user needs leave to write in {home}" in err
    assert (home / "one" / LOG_NAME).exists()


def test_a_running_session_is_left_alone(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_args, "is_running", lambda _path: True)
    for arguments in (("delete", "one", "--yes"), ("rename", "one", "x")):
        code, _, err = txtop(capsys, "sessions", *arguments)
        assert code == 2 and "is running" in err
    assert (home / "one").exists()


def test_many_bytes_are_warned_of_and_never_deleted(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "over" not in txtop(capsys, "sessions")[2]
    monkeypatch.setenv("TXTOP_SESSIONS_CAP_GB", "0.00001")
    _, _, err = txtop(capsys, "sessions")
    assert "over 1e-05 GB: txtop sessions delete NAME" in err
    assert len(list(home.iterdir())) == 3


def test_what_was_refused_is_not_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, refused in (("all", 2), ("some", 1), ("none", 0)):
        made = streams.stream(streams.plan(("gpt2", "t5-small")))
        cells = [cell.id for cell in made[0].plan.cells][:refused]  # type: ignore[union-attr]
        made = [event for event in made if getattr(event, "cell", None) not in cells]
        made[2:2] = [
            events.CellRejected(t_ns=made[1].t_ns, cell=cell, reason="unknown") for cell in cells
        ]
        streams.write(tmp_path / f"{name}.jsonl", made)
    _, out, _ = txtop(capsys, "sessions", "--session-dir", str(tmp_path))
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "refused" in lines["all"].split()[3] and lines["all"].endswith("· 2 refused")
    assert " done " in lines["some"] and "1/2 cells" in lines["some"]
    assert lines["some"].endswith("· 1 refused")
    assert " done " in lines["none"] and "refused" not in lines["none"]


def test_a_search_counts_its_probes_and_one_that_does_not_run_is_none_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = list(fit_session.search_whole())
    ends = [event for event in whole if isinstance(event, events.CellFinished)]
    assert len(ends) > 2 and {event.status for event in ends} == {"ok", "oom"}
    streams.write(tmp_path / "whole.jsonl", whole)
    for event in ends:
        event.status = "oom"
    streams.write(tmp_path / "nothing.jsonl", whole)
    ends[-1].status = "cancelled"
    streams.write(tmp_path / "stopped.jsonl", whole[:-1])
    _, out, _ = txtop(capsys, "sessions", "--session-dir", str(tmp_path))
    lines = {line.split()[0]: line for line in out.splitlines()}
    for name, state, count in (
        ("whole", "done", len(ends)),
        ("nothing", "failed", len(ends)),
        ("stopped", "cut off", len(ends) - 1),
    ):
        assert f" {state} " in lines[name] and f" {count} probes " in lines[name]
        assert "cells" not in lines[name] and "· " not in lines[name].partition("gpt2 · ")[2]


def test_a_race_that_was_stopped_counts_what_it_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = list(race_session.Race(steps=12).events())
    assert not any(isinstance(event, events.CellFinished) for event in made)
    *blocks, last = [event for event in made if isinstance(event, events.RaceBlock)]
    last.kept, last.reasons = False, ["stop"]
    timed = len({name for block in blocks for name in block.iterations})
    assert not last.iterations.keys() <= {name for block in blocks for name in block.iterations}
    streams.write(tmp_path / "race.jsonl", made)
    _, out, _ = txtop(capsys, "sessions", "--session-dir", str(tmp_path))
    assert timed > 3 and f" {timed} candidates " in out.splitlines()[0]


def write_ab(path: Path, *, starts: int, blocks: int, end: str) -> None:
    """Write an A/B of so many blocks, three a start, and of one more that is discarded."""
    script = ab_sessions.script(starts=starts).begin()
    for number in range(1, blocks + 1):
        script.block((30.0, 20.0), ends_start=starts > 1 and number % 3 == 0)
    script.block((30.0, 20.0), kept=False, reasons=["stop"])
    streams.write(path, script.end("ok" if end == "done" else "cancelled", end))


@pytest.mark.parametrize(
    ("starts", "blocks", "counted"),
    [(1, 0, "0 blocks"), (1, 7, "7 blocks"), (4, 2, "2 blocks"), (4, 8, "2 starts")],
)
def test_an_ab_counts_its_blocks_or_starts_whether_or_not_it_came_to_its_end(
    starts: int, blocks: int, counted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ends = {"whole": "done", "stopped": "stopped"}
    for name, end in ends.items():
        write_ab(tmp_path / f"{name}.jsonl", starts=starts, blocks=blocks, end=end)
    _, out, _ = txtop(capsys, "sessions", "--session-dir", str(tmp_path))
    lines = {line.split()[0]: line for line in out.splitlines()}
    for name in ends:
        assert f" {counted} " in lines[name] and "cells" not in lines[name]
    for path in tmp_path.iterdir():
        entry = catalog.read_entry(path)
        assert entry is not None and build_listed_session(entry).progress == counted


def test_show_calls_a_session_by_its_present_name(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert txtop(capsys, "sessions", "rename", "one", "first")[0] == 0
    assert txtop(capsys, "show", "first")[1].startswith("txtop session first ")
    assert txtop(capsys, "show", "gpt2-serving")[1].startswith("txtop session gpt2-serving ")


def test_compare_says_what_its_figures_are_the_average_of(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "tok/s, median" in txtop(capsys, "compare", "gpt2-precisions", "gpt2-precisions")[1]
    assert "tok/s, mean" in txtop(capsys, "compare", "gpt2-serving", "gpt2-serving")[1]
