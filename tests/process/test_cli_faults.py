"""Cells that starve, hang and abort, through the command line: the other cells are measured."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from support import tiny_models

ROOM_BYTES = 8 << 30
ORDER = ("first", "starves", "hangs", "aborts", "last")
STRUCK = {"hangs": signal.SIGSTOP, "aborts": signal.SIGABRT}


def _worker(run: psutil.Process, seen: list[int]) -> psutil.Process | None:
    for process in run.children(recursive=True):
        try:
            if process.pid not in seen and "txtop.worker" in process.cmdline():
                return process
        except psutil.Error:
            continue
    return None


def _starving(directory: Path) -> str:
    """Write a configuration whose embedding alone has 16 GB."""
    tiny_models.gpt2(directory, weights=False)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "vocab_size": 250_000_000}))
    return str(directory)


@pytest.mark.slow
@pytest.mark.fault(22)
@pytest.mark.fault(25)
@pytest.mark.fault(26)
def test_a_run_goes_on_beside_cells_that_starve_hang_and_abort(tmp_path: Path) -> None:
    models = [
        _starving(tmp_path / name) if name == "starves" else str(tiny_models.gpt2(tmp_path / name))
        for name in ORDER
    ]
    out = tmp_path / "out.json"
    options = "--sequence-lengths 8 --new-tokens 4 --iterations 3 --warmup 1 --timeout 20"
    options += f" --headless --json {out} --session-dir {tmp_path / 'sessions'}"
    run = subprocess.Popen(
        [sys.executable, "-m", "txtop", "run", "--models", *models, *options.split()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ROOM_BYTES, ROOM_BYTES)),
    )
    seen: list[int] = []
    while run.poll() is None:
        worker = _worker(psutil.Process(run.pid), seen)
        if worker is not None:
            seen.append(worker.pid)
            if (struck := STRUCK.get(ORDER[len(seen) - 1])) is not None:
                time.sleep(1)
                worker.send_signal(struck)
        time.sleep(0.05)
    output = run.communicate()[0]
    print(output)
    assert run.returncode == 1
    cells: list[dict[str, Any]] = json.loads(out.read_text())["cells"]
    assert [c["status"] for c in cells] == ["ok", "oom", "timeout", "failed", "ok"]
    _, starved, hung, aborted, _ = cells
    assert starved["reason"] == "out of memory on the host"
    assert "out of memory on the host, 14.9 GiB wanted" in output
    assert hung["reason"] == "longer than --timeout 20 s"
    assert aborted["reason"].startswith("the worker killed by SIGABRT")


@pytest.fixture
def two_gib(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Enter a memory cgroup of 2 GiB; skips if none can be made."""
    name = f"txtop-test-{os.getpid()}"
    for parent, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = parent / name
        try:
            group.mkdir()
            (group / limit).write_text(str(2 << 30))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("no memory cgroup can be made here")


@pytest.mark.slow
@pytest.mark.fault(23)
def test_the_kernel_ends_a_worker_for_want_of_memory(tmp_path: Path, two_gib: Path) -> None:
    models = [str(tiny_models.gpt2(tmp_path / "fits")), "gpt2-large"]
    options = "--weights random --sequence-lengths 8 --new-tokens 2 --iterations 3 --warmup 0"
    options += f" --headless --session-dir {tmp_path / 'sessions'}"
    done = subprocess.run(
        [sys.executable, "-m", "txtop", "run", "--models", *models, *options.split()],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=lambda: (two_gib / "cgroup.procs").write_text("0"),
    )
    print(done.stdout)
    assert done.returncode == 1
    assert "cores, 2 of " in done.stdout
    assert (
        "gpt2-large fp32 batch 1 length 8: oom at weights: out of memory: the memory" in done.stdout
    )
    assert "memory killer" in done.stdout
