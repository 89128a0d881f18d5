"""Commands that take the name of a fleet."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fleets import write_fleet
from txtop.analysis.metrics import FinalMetrics
from txtop.cli import session_args
from txtop.cli.app import run_command_line
from txtop.cli.common import StartOptions
from txtop.cli.compare import compare
from txtop.cli.export import show
from txtop.cli.fleet import _Member, _report_missing, list_commands
from txtop.cli.replay import stop
from txtop.cli.run import resume, run
from txtop.errors import SessionError, UsageError
from txtop.export import fleet, markdown
from txtop.fleet.fleet_run import FleetCopies
from txtop.fleet.folder import FleetOrder, create_fleet
from txtop.fleet.places import RemotePlace
from txtop.options.run_options import RunOptions
from txtop.runner import liveness
from txtop.session.reader import ReadProblems
from txtop.state.session import SessionState

RECORDING = "gpt2-precisions"


def test_places_of_one_name_in_two_fleets_stay_apart(tmp_path: Path) -> None:
    for name in ("f", "g"):
        write_fleet(tmp_path, name, {"a": 1.0}, RECORDING)
    with pytest.raises(UsageError, match="f/a, g/a are machines of one kind"):
        compare("f", "g", across="hardware", session_dir=tmp_path)


def test_a_gate_of_accuracy_is_refused_across_machines(tmp_path: Path) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, RECORDING)
    with pytest.raises(UsageError, match="--min-accuracy judges two sessions"):
        compare("f", min_accuracy="-1pt", session_dir=tmp_path)


def test_a_copy_that_begins_while_a_fleet_is_shown_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 0.0}, RECORDING)
    load = liveness.load_session

    def load_slowly(path: Path, cut: int | None = None) -> tuple[SessionState, ReadProblems]:
        copy = folder / "f-b"
        copy.mkdir()
        (copy / "events.jsonl").write_bytes((path / "events.jsonl").read_bytes())
        return load(path, cut)

    monkeypatch.setattr(session_args, "load_session", load_slowly)
    assert show("f", session_dir=tmp_path) == 0
    printed = capsys.readouterr().out
    assert "session f-a" in printed and "f-b" not in printed


def test_the_markdown_of_a_fleet_has_what_that_of_each_session_has(tmp_path: Path) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, "minilm-task")
    states, finals = session_args.load_sessions("f", tmp_path), FinalMetrics()
    document = fleet.to_markdown(states, finals).decode()
    further = markdown.to_markdown(states["a"], finals).decode().split("\n\n")[1:]
    assert further and all(document.count(part) == 2 for part in further)


def test_the_name_of_a_fleet_stands_for_no_single_session(tmp_path: Path) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, RECORDING)
    with pytest.raises(SessionError, match="f is a fleet: name one of its sessions: f-a, f-b"):
        compare("f", "f-a", session_dir=tmp_path)


def test_the_runs_of_all_places_are_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = tmp_path / "asked"
    there = [
        RemotePlace("a", "exec", f"sh -c 'echo $3 >> {asked}' --"),
        RemotePlace("b", "exec", "sh -c 'echo txtop: f-b is not running >&2; exit 4' --"),
    ]
    create_fleet(tmp_path, "f", FleetOrder(["txtop"], b""), there)
    assert stop("f", session_dir=tmp_path) == 0
    assert asked.read_text() == "f-a\n"
    printed = capsys.readouterr().err.splitlines()
    assert printed == [
        f"{'a':<12} stopping",
        f"{'b':<12} cannot be stopped: f-b is not running",
    ]


def test_few_missing_cells_have_a_command_each(tmp_path: Path) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0}, RECORDING)
    (state,) = session_args.load_sessions("f", tmp_path).values()
    cells = [cell.cell for cell in state.cells.values()]
    (command,) = list_commands(state, cells[:1])
    assert command.startswith("txtop run --models") and "--plan" not in command
    assert list_commands(state, cells) == []


def report_missing(folder: Path) -> None:
    copies = FleetCopies(folder)
    members = [_Member(label, copy) for label, copy in copies.copies.items()]
    for member in members:
        while member.follower.update():
            pass
        member.follower.close()
    _report_missing(copies, members)


def leave_out(folder: Path, *kinds: bytes) -> None:
    """Write the copy of b without the events of some kinds."""
    log = folder / "f-b" / "events.jsonl"
    prefixes = tuple(b'{"kind":"%s"' % kind for kind in kinds)
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(line for line in lines if not line.startswith(prefixes)))


def test_a_run_that_lacks_only_its_end_can_be_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, "minilm-task")
    leave_out(folder, b"ended")
    report_missing(folder)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{'b':<12} everything was measured, but the run has no end"
    assert f"txtop resume f --session-dir {tmp_path}" in second


@pytest.mark.parametrize(
    ("kinds", "lacks"),
    [
        ((b"fidelity",), "1 comparison of outputs"),
        ((b"fidelity", b"ended"), "1 comparison of outputs"),
        ((b"answered",), "4 tasks"),
    ],
)
def test_a_run_that_lacks_comparisons_or_answers_can_be_resumed(
    kinds: tuple[bytes, ...], lacks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, "minilm-task")
    leave_out(folder, *kinds)
    report_missing(folder)
    first, second = capsys.readouterr().err.splitlines()
    assert first == f"{'b':<12} not done: {lacks}"
    assert f"to do it there: txtop resume f --session-dir {tmp_path}" in second


def test_a_part_is_not_saved_as_the_whole() -> None:
    with pytest.raises(UsageError, match="--part and --save-plan contradict"):
        run(options=RunOptions(models=["gpt2"]), part="1/2", save_plan="-")


def test_a_fleet_that_lacks_nothing_is_reported_and_not_copied_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, "minilm-task")
    monkeypatch.setattr(FleetCopies, "start", lambda self: pytest.fail("asked the places"))
    code = resume("f", start=StartOptions(session_dir=tmp_path, headless=True))
    done = capsys.readouterr()
    assert code == 0 and done.err == "nothing of f is missing\n"
    assert done.out.count("txtop session") == 2


def test_one_kind_of_machine_is_answered_with_what_can_be_compared(tmp_path: Path) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, RECORDING)
    write_fleet(tmp_path, "one", {"a": 1.0}, RECORDING)
    with pytest.raises(UsageError, match="a, b are machines of one kind: txtop compare f-a f-b"):
        compare("f", session_dir=tmp_path)
    with pytest.raises(UsageError, match="one has results of one place alone: a"):
        compare("one", session_dir=tmp_path)


@pytest.mark.parametrize("name", ["f", "gpt2-precisions"])
def test_the_formats_that_are_offered_are_those_that_there_are(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_fleet(tmp_path, "f", {"a": 1.0, "b": 1.0}, RECORDING)
    place = ["--session-dir", str(tmp_path)] if name == "f" else []
    assert run_command_line(["export", name, "--format", "xml", *place]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("one of json, jsonl, csv, md") == (name == "f")
    assert ("llama-bench" in line) == (name != "f")
