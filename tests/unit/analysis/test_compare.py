"""Two sets of sessions compared through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import ab_sessions, streams
from txtop.analysis.compare import compare_sessions
from txtop.cli.app import run_command_line
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState


def session(path: Path, model: str = "gpt2", slow: float = 1.0, n: int = 12, **load: object) -> str:
    made = streams.stream(streams.plan((model,), n))
    for event in made:
        if isinstance(event, events.Iteration):
            event.e2e_ns = int((100 + event.index % 3 / 10) * slow * streams.MS)
        if isinstance(event, events.ModelLoaded):
            for name, value in load.items():
                setattr(event, name, value)
    streams.write(path, made)
    return str(path)


def sides(tmp_path: Path, slow: float) -> list[str]:
    base = [session(tmp_path / f"b{i}.jsonl", slow=1 + i / 1000) for i in range(11)]
    new = [session(tmp_path / f"n{i}.jsonl", slow=slow * (1 + i / 1000)) for i in range(11)]
    return ["compare", "--base", *base, "--new", *new]


@pytest.mark.parametrize(("slow", "code"), [(1.15, 1), (1.0, 0), (0.8, 0), (1.03, 3)])
def test_eleven_sessions_a_side(
    tmp_path: Path, slow: float, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line(sides(tmp_path, slow)) == code
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith({0: "no regression", 1: "regression", 3: "inconclusive"}[code])


def test_with_itself_and_with_another_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = session(tmp_path / "a.jsonl"), session(tmp_path / "b.jsonl", "distilgpt2")
    assert run_command_line(["compare", a, a]) == 0
    assert run_command_line(["compare", a, b]) == 3
    assert "only in base" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ({"device_name": "B CPU"}, "another device: A CPU against B CPU"),
        ({"weights": "pretrained"}, "random (10 parameters) against pretrained (10 parameters)"),
    ],
)
def test_what_cannot_be_compared_says_why(
    tmp_path: Path, load: dict[str, object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    a, b = session(tmp_path / "a.jsonl"), session(tmp_path / "b.jsonl", **load)
    assert run_command_line(["compare", a, b]) == 3
    assert reason in capsys.readouterr().out


def test_threads_and_versions_are_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = session(tmp_path / "a.jsonl")
    b = session(tmp_path / "b.jsonl", threads=2, versions={"torch": "3"})
    assert run_command_line(["compare", a, b, "--format", "json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["notes"] == ["threads: 1 against 2", "torch: 2 against 3"]


def on_a_gpu(path: Path, **facts: str) -> str:
    name = session(path, device="cuda:0", device_id="GPU-1")
    stream = read_all(path)[0]
    first = events.Telemetry(t_ns=stream[1].t_ns, device="GPU-1", values={}, facts=facts)
    streams.write(path, [*stream[:2], first, *stream[2:]])
    return name


@pytest.mark.parametrize(
    ("facts", "notes"),
    [
        ({"power_limit_w": "700", "ecc": "on", "memory_reserved_bytes": "5"}, []),
        ({"power_limit_w": "350"}, ["power limit (W): 700 against 350"]),
        ({"ecc": "off", "mig": "on"}, ["ECC: on against off"]),  # the other tells no MIG
        ({}, []),  # as recorded before settings were
    ],
)
def test_settings_of_a_gpu_that_differ_are_notes(
    tmp_path: Path, facts: dict[str, str], notes: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    a = on_a_gpu(tmp_path / "a.jsonl", power_limit_w="700", ecc="on", memory_reserved_bytes="4")
    b = on_a_gpu(tmp_path / "b.jsonl", **facts)
    assert run_command_line(["compare", a, b, "--format", "json"]) == 0
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["notes"] == notes


@pytest.mark.parametrize(
    ("base", "new", "note"),
    [
        ({"matmul_precision": "highest"}, {"matmul_precision": "highest"}, ""),
        (
            {"matmul_precision": "highest"},
            {"matmul_precision": "high"},
            "matmul_precision: highest against high",
        ),
        (
            {"matmul_precision": "highest"},
            {"matmul_precision": "highest", "CUDA_LAUNCH_BLOCKING": "1"},
            "CUDA_LAUNCH_BLOCKING: unset against 1",
        ),
        ({}, {"matmul_precision": "high"}, ""),
    ],
)
def test_what_bends_numbers_is_a_note_where_it_differs(
    base: dict[str, str],
    new: dict[str, str],
    note: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    a = session(tmp_path / "a.jsonl", environment=base)
    b = session(tmp_path / "b.jsonl", environment=new)
    assert run_command_line(["compare", a, b]) in (0, 3)
    printed = capsys.readouterr().out
    assert note in printed and (note or "against" not in printed)


def test_few_iterations_say_nothing(tmp_path: Path) -> None:
    a, b = session(tmp_path / "a.jsonl", n=8), session(tmp_path / "b.jsonl", slow=2, n=8)
    assert run_command_line(["compare", a, b]) == 3


def test_markdown_is_inert(tmp_path: Path) -> None:
    a, out = session(tmp_path / "a.jsonl", "a|b<i>"), tmp_path / "out.md"
    assert run_command_line(["compare", a, a, "--format", "md", "--output", str(out)]) == 0
    assert r"a\|b&lt;i&gt;" in out.read_text()


@pytest.mark.parametrize(
    "arguments",
    [["a"], [], ["a", "b", "--new", "c"], ["--base", "a"], ["--base", "a", "a", "--new", "b"]],
)
def test_what_is_asked_in_two_ways_is_refused(arguments: list[str]) -> None:
    assert run_command_line(["compare", *arguments]) == 2


@pytest.mark.fault(46)
@pytest.mark.parametrize("other", ["./ck/a", "/home/you/ck/a", "/a"])
def test_a_model_is_the_same_in_another_folder(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkout, a colleague's home, an older recording: the path is a note."""
    old = session(tmp_path / "old.jsonl", other)
    new = session(tmp_path / "new.jsonl", "/home/u/ck/a")
    assert run_command_line(["compare", old, new]) == 0
    assert f"path of the model: {other} against /home/u/ck/a" in capsys.readouterr().out


@pytest.mark.parametrize("other", ["/home/u/ck/b", "org/a", "a"])
def test_another_name_is_another_model(
    other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old = session(tmp_path / "old.jsonl", other)
    new = session(tmp_path / "new.jsonl", "/home/u/ck/a")
    assert run_command_line(["compare", old, new]) == 3
    assert "only in base" in capsys.readouterr().out


def measure_starts(*ms: float) -> SessionState:
    """Return an A/B of three starts in which A took these times, and of one that was cut off."""
    script = ab_sessions.script(starts=4).begin()
    for blocks, time_ms in zip((3, 9, 3), ms, strict=True):
        for left in reversed(range(blocks)):
            script.block((time_ms, 20.0), ends_start=not left)
    for _ in range(20):
        script.block((90.0, 20.0))
    return fold_all(script.end())


def test_the_ratio_of_several_starts_is_that_of_the_rates_beside_it() -> None:
    """Each complete start counts as a session, however many calls it has, an open one as none."""
    sides = measure_starts(20.0, 30.0, 22.0), measure_starts(18.0, 20.0, 30.0)
    cell = compare_sessions([sides[0]], [sides[1]], 0.03).cells[0]
    assert cell.contrast is not None and cell.contrast.sessions_base == 3
    assert cell.base_rate is not None and cell.new_rate is not None
    assert cell.contrast.ratio == pytest.approx(22 / 20)
    assert cell.new_rate / cell.base_rate == pytest.approx(22 / 20)
