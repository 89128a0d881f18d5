"""A session folder that holds what is no session, or what this user may not read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support import streams
from txtop.cli import probes
from txtop.cli.app import run_command_line
from txtop.errors import RunError, SessionError
from txtop.plan.plan import Plan
from txtop.runner import spawn
from txtop.session import catalog
from txtop.session.reader import LogReader
from txtop.session.writer import LOG_NAME, create_session_folder
from txtop.ui.home_source import build_listed_session
from txtop.ui.models.session_list import SessionList

LOCKED = ("neighbour", "lost+found", "locked.jsonl")


@pytest.fixture
def shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder of two good sessions among odd entries, and refuse what is `LOCKED`.

    Permissions do not bind root, so the calls that the system refuses a user are refused here.
    """
    folder = tmp_path / "sessions"
    monkeypatch.setenv("TXTOP_SESSION_DIR", str(folder))
    for name in ("mine", "neighbour"):
        create_session_folder(folder / name)
        streams.write(folder / name / LOG_NAME, streams.stream(streams.plan(("gpt2",))))
    for name in ("bare.jsonl", "locked.jsonl"):
        streams.write(folder / name, streams.stream(streams.plan(("bert",))))
    (folder / "lost+found").mkdir()
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("hello")
    (folder / "torn.jsonl").write_text("not a session\n")
    (folder / "begins.jsonl").write_bytes(b"")
    (folder / "dangling.jsonl").symlink_to("nowhere")
    (folder / "dangling").symlink_to("nowhere")
    (folder / "loop").symlink_to("loop")
    (folder / "made.jsonl").mkdir()
    os.mkfifo(folder / "fifo.jsonl")
    (folder / "piped").mkdir()
    os.mkfifo(folder / "piped" / LOG_NAME)

    def is_refused(path: object) -> bool:
        parts = Path(os.fsdecode(path)).parts if isinstance(path, str | bytes | Path) else ()
        # Of a folder its contents; of a file all but its existence.
        inside = parts[:-1] if parts[-1:] != ("locked.jsonl",) else parts
        return str(folder) in str(path) and any(name in inside for name in LOCKED)

    def refuse(module: object, name: str, spares: tuple[str, ...] = ()) -> None:
        real = getattr(module, name)

        def refusing(path: object, *arguments: object, **named: object) -> object:
            if is_refused(path) and Path(str(path)).name not in spares:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, *arguments, **named)

        monkeypatch.setattr(module, name, refusing)

    for module in (os, Path):
        refuse(module, "stat", ("locked.jsonl",))
        refuse(module, "lstat", ("locked.jsonl",))
    monkeypatch.setattr("txtop.session.reader._OPENERS", {".jsonl": _refusing_open(is_refused)})
    return folder


def _refusing_open(is_refused: object) -> object:
    def refusing(path: Path, mode: str) -> object:
        if is_refused(path):  # type: ignore[operator]
            raise PermissionError(13, "Permission denied", str(path))
        return path.open(mode)

    return refusing


@pytest.mark.fault(45)
def test_what_cannot_be_read_is_listed_as_such_and_what_is_no_session_is_skipped(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = {e.id: e for e in catalog.list_recent(folder=shared) if not e.bundled}
    problems = {name: entry.problem for name, entry in entries.items() if entry.problem}
    assert set(entries) == {"mine", "bare", "neighbour", "locked", "torn", "begins"}
    assert set(problems) == {"neighbour", "locked", "torn", "begins"}
    assert "Permission denied" in problems["neighbour"]
    assert run_command_line(["sessions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("neighbour"))
    assert "unreadable" in line and "Permission denied" in line
    assert run_command_line([]) == 0, "the home screen as lines"


@pytest.mark.fault(45)
@pytest.mark.parametrize("command", ["show", "verify", "resume", "export"])
def test_an_unreadable_session_is_one_line_and_the_others_open(
    shared: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([command, "neighbour"]) == 4
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Permission denied" in error and "another user" in error
    if command in ("show", "export"):
        assert run_command_line([command, "mine"]) == 0


@pytest.mark.fault(45)
def test_the_home_screen_lists_it_and_does_not_open_or_pair_it(shared: Path) -> None:
    sessions = SessionList()
    sessions.take([build_listed_session(e) for e in catalog.list_recent(folder=shared)])
    chosen = {item.label: item for item in sessions.listed}
    assert chosen["neighbour"].stage == "unreadable" and not chosen["neighbour"].resumable
    sessions.marked = [chosen["mine"].path, chosen["neighbour"].path]
    assert "cannot be read" in str(sessions.pair())


def test_a_fifo_is_refused_without_waiting_for_a_writer(shared: Path) -> None:
    for name in ("fifo.jsonl", "piped"):
        with pytest.raises(SessionError):
            LogReader(shared / name)


@pytest.mark.fault(45)
def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(RunError, match="cannot write a session in") as refused:
            spawn.start_run(Plan(cells=()), session_dir=folder)
        assert "--session-dir" in refused.value.hint
        finding = probes._probe_disk(folder)
        assert (finding.state, "--session-dir" in finding.next) == ("broken", True)
    assert probes._probe_disk(tmp_path / "new" / "deep").state == "ok"
    assert not (tmp_path / "new").exists()
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "is not writable" in probes._probe_disk(tmp_path).detail
