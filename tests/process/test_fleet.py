"""A run on several machines, each a folder of its own here, with workers without torch."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.command_line import txtop
from support.paths import ROOT, SHIM
from support.ssh_host import Network, make_network, serve_ssh
from support.waiting import WAIT_S
from txtop.fleet.fleet_run import FleetCopies
from txtop.fleet.followed import FleetFollower
from txtop.runner.liveness import load_session
from txtop.session import catalog
from txtop.session.verify import verify_log
from txtop.ui.models.fleet import FleetViewBuilder
from txtop.units import NS_PER_S

PATH = f"{SHIM}:{ROOT}"
COMMAND = f"{sys.executable} -m txtop"
CELLS = ("--models", "ok", "--sequence-lengths", "8", "--batch-sizes", "1", "4", "--warmup", "1")


def place(folder: Path, label: str) -> str:
    return f"{label}=exec:env TXTOP_SESSION_DIR={folder / label} PYTHONPATH={PATH}"


def start(folder: Path, *arguments: str) -> list[str]:
    places = [place(folder, "a"), place(folder, "b")]
    here = ("--session-dir", str(folder / "here"), "--on-command", COMMAND, "--on", *places)
    return ["run", *CELLS, *arguments, *here]


def require_equal_copies(folder: Path, name: str) -> None:
    for label in ("a", "b"):
        there = folder / label / f"{name}-{label}"
        here = folder / "here" / name / f"{name}-{label}"
        assert (there / "events.jsonl").read_bytes() == (here / "events.jsonl").read_bytes()
        result = verify_log(here)
        assert result.ended and not result.wrong_count and result.digests == 1


def test_each_place_measures_the_whole_plan_and_its_log_comes_here(tmp_path: Path) -> None:
    done = txtop(*start(tmp_path, "--iterations", "5", "--name", "f"))
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "f")
    assert "session f-a" in done.stdout and "session f-b" in done.stdout
    assert re.search(r"^a +\d\d:\d\d ok .*batch 4", done.stderr, re.MULTILINE)
    listed = catalog.list_recent(folder=tmp_path / "here")
    assert {entry.id for entry in listed if not entry.bundled} == {"f-a", "f-b"}
    report = txtop("show", "f-b", "--session-dir", str(tmp_path / "here"))
    assert report.returncode == 0 and "session f-b" in report.stdout
    again = txtop("attach", "f", "--session-dir", str(tmp_path / "here"))
    assert again.returncode == 0
    require_equal_copies(tmp_path, "f")


def test_a_place_that_refuses_is_named_before_anything_runs(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
    (tmp_path / "a" / "model").mkdir()
    (tmp_path / "a" / "model" / "config.json").write_text('{"model_type": "gpt2"}')
    command = tmp_path / "txtop"
    command.write_text(f'#!/bin/sh\ncd "$TXTOP_SESSION_DIR" && exec {COMMAND} "$@"\n')
    command.chmod(0o755)
    places = ("--on", place(tmp_path, "a"), place(tmp_path, "b"), "--on-command", str(command))
    done = txtop("run", "--models", "./model", *places, "--session-dir", str(tmp_path / "here"))
    assert done.returncode == 2
    assert "b: no model at" in done.stderr and "a: " not in done.stderr
    assert "nothing was started" in done.stderr
    assert not (tmp_path / "here").exists() and not [*tmp_path.glob("*/*/events.jsonl")]


def test_a_model_that_a_place_lacks_is_copied_before_anything_runs(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text('{"model_type": "gpt2"}')
    (model / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "a").mkdir()
    there = tmp_path / "a" / "model"
    # The same name is another path on each side: the place has a root of its own.
    command = tmp_path / "as-there"
    command.write_text(
        "#!/bin/sh\nfor f; do shift; "
        f'[ "$f" = "{model}" ] && f="{there}"; set -- "$@" "$f"; done; exec "$@"\n'
    )
    command.chmod(0o755)
    where = ("--on", f"a=exec:{command} env TXTOP_SESSION_DIR={tmp_path / 'a'} PYTHONPATH={PATH}")
    here = ("--on-command", f"{COMMAND} --nonsense", "--session-dir", str(tmp_path / "here"))
    run = ("run", "--models", str(model), "--sync-model", *where, *here)
    done = txtop(*run)
    assert done.returncode == 2 and re.search(r"^a +lacks 2 files of", done.stderr, re.MULTILINE)
    assert (there / "model.safetensors").read_bytes() == b"weights"
    again = txtop(*run)
    assert again.returncode == 2 and "lacks" not in again.stderr


def test_cells_are_dealt_over_equal_places(tmp_path: Path) -> None:
    groups = ("--threads", "1", "2", "--iterations", "5", "--name", "f", "--spread")
    done = txtop(*start(tmp_path, *groups))
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "f")
    states = [load_session(tmp_path / label / f"f-{label}")[0] for label in ("a", "b")]
    assert [sorted(state.cells) for state in states] == [["c001", "c002"], ["c003", "c004"]]
    assert re.search(r"^a +2 cells$", done.stderr, re.MULTILINE)
    plan = str(tmp_path / "here" / "f" / "plan.toml")
    listed = txtop("run", "--plan", plan, "--part", "2/2", "--dry-run")
    assert listed.stdout.count("threads 2") == 2 and "threads 1" not in listed.stdout


def test_places_that_differ_get_no_part_and_are_told_apart(tmp_path: Path) -> None:
    b = place(tmp_path, "b").replace("exec:env", "exec:taskset -c 0 env")
    places = ("--on", place(tmp_path, "a"), b, "--on-command", COMMAND)
    cells = ("run", *CELLS, "--iterations", "3", "--session-dir", str(tmp_path / "here"), *places)
    refused = txtop(*cells, "--spread")
    assert refused.returncode == 2 and "cores: " in refused.stderr
    assert "(a) against 1 (b)" in refused.stderr and not (tmp_path / "here").exists()
    measured = txtop(*cells, "--each")
    assert measured.returncode == 0 and "never pooled" in measured.stderr


def test_a_fleet_is_taken_as_one(tmp_path: Path) -> None:
    b = place(tmp_path, "b").replace("exec:env", "exec:taskset -c 0 env")
    places = ("--on", place(tmp_path, "a"), b, "--on-command", COMMAND)
    here = ("--session-dir", str(tmp_path / "here"))
    assert txtop("run", *CELLS, "--iterations", "9", "--name", "f", *here, *places).returncode == 0
    verified = txtop("verify", "f", *here)
    assert verified.returncode == 0 and verified.stdout.count(": ok,") == 2
    report = txtop("show", "f", *here).stdout
    assert report.index("place") < report.index("session f-a") < report.index("session f-b")
    rows = [*csv.DictReader(txtop("export", "f", "--format", "csv", *here).stdout.splitlines())]
    assert [(row["machine"], row["id"]) for row in rows] == [
        (label, cell) for label in ("a", "b") for cell in ("c001", "c002")
    ]
    whole = json.loads(txtop("export", "f", *here).stdout)["machines"]
    assert {label: len(export["cells"]) for label, export in whole.items()} == {"a": 2, "b": 2}
    assert txtop("export", "f", "--format", "plan", *here).returncode == 2
    compared = json.loads(txtop("compare", "f", "--format", "json", *here).stdout)
    assert [row["machine"] for row in compared] == ["a", "b"] * 2
    assert compared[0]["contrast"] is None and compared[1]["contrast"]["ci95"]
    assert compared[1]["contrast"]["n_base"] == 9


@pytest.mark.slow
def test_a_fleet_is_resumed_where_cells_are_missing(tmp_path: Path) -> None:
    arguments = start(tmp_path, "--iterations", "200", "--name", "f")
    run = subprocess.Popen(
        [sys.executable, "-m", "txtop", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    for line in run.stderr:
        if re.match(r"a .*batch 4.*started", line):
            assert txtop("stop", "f-a", "--session-dir", str(tmp_path / "a")).returncode == 0
    assert run.wait(WAIT_S) == 130
    log = tmp_path / "here" / "f" / "f-a" / "events.jsonl"
    log.write_bytes(log.read_bytes() + b'{"torn')
    resumed = txtop("resume", "f", "--session-dir", str(tmp_path / "here"))
    assert resumed.returncode == 0, resumed.stderr
    for label in ("a", "b"):
        there = tmp_path / label / f"f-{label}" / "events.jsonl"
        copy = tmp_path / "here" / "f" / f"f-{label}" / "events.jsonl"
        assert there.read_bytes() == copy.read_bytes()
        assert verify_log(copy.parent).segments == {"a": 2, "b": 1}[label]


def test_of_a_lost_place_the_cells_are_not_measured(tmp_path: Path) -> None:
    command = tmp_path / "txtop"
    command.write_text(
        f'#!/bin/sh\n[ "$1 $TXTOP_SESSION_DIR" = "stream {tmp_path}/b" ] && exit 255\n'
        f'exec {COMMAND} "$@"\n'
    )
    command.chmod(0o755)
    arguments = start(tmp_path, "--iterations", "5", "--name", "f", "--lost-after", "1")
    done = txtop(*(str(command) if text == COMMAND else text for text in arguments))
    assert done.returncode == 1, done.stderr
    assert re.search(r"^b +lost, exit code 255$", done.stderr, re.MULTILINE)
    assert re.search(r"^b +nothing was received", done.stderr, re.MULTILINE)
    assert f"to measure them there: txtop resume f --session-dir {tmp_path}/here" in done.stderr


def test_a_stopped_line_is_told_and_every_event_arrives_once(tmp_path: Path) -> None:
    arguments = start(tmp_path, "--iterations", "100000", "--name", "f")
    run = subprocess.Popen(
        [sys.executable, "-m", "txtop", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    lines: list[str] = []
    try:
        for line in run.stderr:
            lines.append(line)
            if re.match(r"a .*started", line):
                (streaming,) = find_streams("f-a")
                os.kill(streaming, signal.SIGSTOP)
            if re.match(r"a +no data", line):
                os.kill(streaming, signal.SIGKILL)
            if re.match(r"a +receiving data again", line):
                run.send_signal(signal.SIGINT)
    finally:
        run.send_signal(signal.SIGTERM)
        run.wait(WAIT_S)
    assert run.returncode == 130, lines
    changes = [line for line in lines if re.match(r"a +(no data|receiving data)", line)]
    assert len(changes) == 2, lines
    require_equal_copies(tmp_path, "f")


@pytest.mark.slow
def test_a_line_cut_for_half_a_minute_loses_and_repeats_nothing(tmp_path: Path) -> None:
    begun = txtop(*start(tmp_path, "--iterations", "100000", "--name", "f", "--detach"))
    assert begun.returncode == 0, begun.stderr

    def send(number: int) -> None:
        for streaming in find_streams("f-a"):
            os.kill(streaming, number)

    require_whole_copy(tmp_path, lambda: send(signal.SIGSTOP), lambda: send(signal.SIGCONT))
    require_equal_copies(tmp_path, "f")


@pytest.mark.slow
def test_a_network_cut_for_half_a_minute_loses_and_repeats_nothing(
    tmp_path: Path, network: Network
) -> None:
    within = ("ip", "netns", "exec", network.name)
    with serve_ssh(tmp_path, network.there, within) as target:
        arguments = (*start_behind_ssh(tmp_path, target), "--iterations", "100000")
        begun = txtop("run", *CELLS, *arguments, "--detach")
        assert begun.returncode == 0, begun.stderr
        require_whole_copy(
            tmp_path,
            lambda: network.set_link("down"),
            lambda: network.set_link("up"),
        )
    there = tmp_path / "a" / "f-a" / "events.jsonl"
    copy = tmp_path / "here" / "f" / "f-a"
    assert there.read_bytes() == (copy / "events.jsonl").read_bytes()
    assert not verify_log(copy).wrong_count


def require_whole_copy(folder: Path, cut: Callable[[], None], mend: Callable[[], None]) -> None:
    """Copy the fleet `f` while the line of its place `a` is cut for half a minute, and stop it.

    Assert that the screen says so meanwhile, and what the lag is before and after.
    """
    fleet = folder / "here" / "f"
    copies = FleetCopies(fleet)
    follower, builder = FleetFollower(fleet, copies), FleetViewBuilder()
    lags_ns: dict[str, list[int]] = {"before": [], "cut": [], "after": []}
    signs, shown_lags = set(), set()

    def watch(phase: str, seconds: float) -> None:
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            if phase == "cut":
                # What was started meanwhile is cut off, too.
                cut()
            follower.update()
            row = builder.build("f", follower.places, copied=True).places[0]
            if phase == "cut":
                signs.add(row.sign[1])
                shown_lags.add(row.lag)
            lags_ns[phase].append(measure_lag_ns(folder / "a" / "f-a", fleet / "f-a"))
            time.sleep(0.1)

    copies.start()
    try:
        while copies.copies["a"].state != "copying":
            time.sleep(0.05)
        time.sleep(1.0)
        watch("before", 5.0)
        watch("cut", 30.0)
        mend()
        broken = copies.copies["a"].breaks
        while measure_lag_ns(folder / "a" / "f-a", fleet / "f-a") > NS_PER_S:
            time.sleep(0.05)
        watch("after", 5.0)
        assert not any(reply.code for reply in copies.stop_runs())
        while not all(copy.is_over for copy in copies.copies.values()):
            time.sleep(0.05)
    finally:
        copies.close()
    most_s = {phase: max(lags) / NS_PER_S for phase, lags in lags_ns.items()}
    print(f"lag at most, s: {most_s}; breaks {broken}; on the screen {sorted(shown_lags)}")
    assert most_s["before"] <= 1.0 >= most_s["after"] and most_s["cut"] > 20.0
    assert "no data" in signs and "25 s" in shown_lags


def measure_lag_ns(there: Path, here: Path) -> int:
    """Return how much older the last line of a copy is than that of the log; both are by one
    clock."""
    newest = [
        json.loads((path / "events.jsonl").read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2])
        for path in (there, here)
    ]
    return int(newest[0]["t_ns"]) - int(newest[1]["t_ns"])


def find_streams(session: str) -> list[int]:
    wanted = f"txtop\0stream\0{session}\0".encode()
    pids = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if wanted in path.read_bytes():
                pids.append(int(path.parent.name))
    return pids


def test_an_interrupt_stops_every_place_and_a_second_leaves(tmp_path: Path) -> None:
    arguments = start(tmp_path, "--iterations", "100000", "--name", "f")
    run = subprocess.Popen(
        [sys.executable, "-m", "txtop", *arguments], stderr=subprocess.PIPE, text=True
    )
    assert run.stderr is not None
    begun = set()
    for line in run.stderr:
        if match := re.match(r"([ab]) .*started", line):
            begun.add(match[1])
        if begun == {"a", "b"}:
            run.send_signal(signal.SIGINT)
            break
    rest = run.stderr.read()
    assert run.wait(WAIT_S) == 130, rest
    require_equal_copies(tmp_path, "f")


@pytest.mark.parametrize("option", [("--json", "-"), ("--on-hangup", "stop"), ("--dry-run",)])
def test_what_a_fleet_cannot_do_is_refused(option: tuple[str, ...]) -> None:
    done = txtop("run", *CELLS, *option, "--on", "ssh:nowhere")
    assert done.returncode == 2 and f"{option[0]} contradict" in done.stderr


def test_a_log_is_streamed_from_any_byte_until_its_run_ends(tmp_path: Path) -> None:
    environment = {"TXTOP_SESSION_DIR": str(tmp_path), "PYTHONPATH": PATH}
    begun = txtop("run", *CELLS, "--iterations", "60", "--name", "s", "--detach", **environment)
    assert begun.returncode == 0, begun.stderr
    began_s = time.monotonic()
    streamed = txtop("stream", "s", "--from", "100", **environment)
    log = (tmp_path / "s" / "events.jsonl").read_bytes()
    assert streamed.returncode == 0 and streamed.stdout.encode() == log[100:]
    assert b'"ended"' in log.splitlines()[-1] and time.monotonic() > began_s
    beyond = txtop("stream", "s", "--from", str(len(log) + 1), **environment)
    assert beyond.returncode == 4 and "is shorter than" in beyond.stderr


@pytest.fixture
def network() -> Iterator[Network]:
    with make_network() as made:
        yield made


def start_behind_ssh(folder: Path, target: str) -> tuple[str, ...]:
    """Return the options of a run `f` whose one place, `a`, is behind ssh."""
    command = f"env TXTOP_SESSION_DIR={folder / 'a'} PYTHONPATH={PATH} {COMMAND}"
    where = ("--on", f"a=ssh:{target}", "--on-command", command)
    return (*where, "--session-dir", str(folder / "here"), "--name", "f")


def test_a_place_behind_ssh(tmp_path: Path) -> None:
    with serve_ssh(tmp_path, "127.0.0.1") as target:
        arguments = start_behind_ssh(tmp_path, target)
        done = txtop("run", *CELLS, "--iterations", "5", *arguments)
    assert done.returncode == 0, done.stderr
    there = tmp_path / "a" / "f-a" / "events.jsonl"
    copy = tmp_path / "here" / "f" / "f-a" / "events.jsonl"
    assert there.read_bytes() == copy.read_bytes()


def test_options_of_a_fleet_without_one_are_refused() -> None:
    done = txtop("run", *CELLS, "--spread")
    assert done.returncode == 2 and "need --on" in done.stderr
