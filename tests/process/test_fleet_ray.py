"""Places that a Ray cluster gives: three nodes on this machine."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from support.command_line import txtop
from support.held_places import build_arguments, require_equal_copies, start
from support.paths import ROOT, SHIM

pytest.importorskip("ray", reason="ray is not installed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    before = find_ray_processes()
    nodes = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False}
    )
    for _ in range(2):
        nodes.add_node(num_cpus=1, resources={"pretend": 2})
    yield nodes
    nodes.shutdown()
    assert find_ray_processes() <= before


def find_ray_processes() -> set[int]:
    pids = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if re.search(rb"raylet|gcs_server|ray::|ray/_private", path.read_bytes()):
                pids.add(int(path.parent.name))
    return pids


@pytest.mark.slow
def test_each_node_is_a_place(tmp_path: Path, cluster: Any) -> None:
    done = txtop(*build_arguments(tmp_path, "ray"), RAY_ADDRESS=cluster.address, timeout=150)
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "ray-1", "ray-2", "ray-3")


@pytest.mark.slow
def test_resources_choose_the_places(tmp_path: Path, cluster: Any) -> None:
    arguments = build_arguments(tmp_path, "p=ray:pretend=2")
    done = txtop(*arguments, RAY_ADDRESS=cluster.address, timeout=150)
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "p-1", "p-2")
    none = txtop(
        *build_arguments(tmp_path, "ray:pretend=3"), RAY_ADDRESS=cluster.address, timeout=150
    )
    assert none.returncode == 2 and "no node is free with pretend=3" in none.stderr


@pytest.mark.slow
def test_a_node_that_is_lost_is_named(tmp_path: Path, cluster: Any) -> None:
    lost = cluster.add_node(num_cpus=1, resources={"doomed": 1})
    arguments = build_arguments(tmp_path, "d=ray:doomed=1", "p=ray:pretend=2", iterations=100_000)
    run = start(arguments, RAY_ADDRESS=cluster.address)
    assert run.stderr is not None
    environment = {"TXTOP_SESSION_DIR": str(tmp_path / "there"), "PYTHONPATH": f"{SHIM}:{ROOT}"}
    lines: list[str] = []
    begun: set[str] = set()
    for line in run.stderr:
        lines.append(line)
        if match := re.match(r"(d|p-[12]) .*started$", line):
            begun.add(match[1])
        if begun == {"d", "p-1", "p-2"}:
            # None ends of itself, so that the node is lost while its run goes on.
            cluster.remove_node(lost, allow_graceful=False)
            for name in ("f-p-1", "f-p-2"):
                assert txtop("stop", name, **environment).returncode == 0
            begun.clear()
    assert run.wait(60) == 1, "".join(lines)
    assert any(re.match(r"d +Ray's node \S+ is lost", line) for line in lines), lines
    require_equal_copies(tmp_path, "p-1", "p-2")
    txtop("stop", "f-d", **environment)


@pytest.mark.slow
def test_a_fleet_whose_nodes_were_given_back_is_resumed_on_them(
    tmp_path: Path, cluster: Any
) -> None:
    arguments = build_arguments(tmp_path, "p=ray:pretend=2", iterations=1000)
    run = start(arguments, RAY_ADDRESS=cluster.address)
    assert run.stderr is not None
    for line in run.stderr:
        if re.match(r"p-1 .*started$", line):
            run.send_signal(signal.SIGINT)
            break
    rest = run.stderr.read()
    assert run.wait(60) == 130, rest
    here = ("--session-dir", str(tmp_path / "here"))
    resumed = txtop("resume", "f", *here, RAY_ADDRESS=cluster.address, timeout=150)
    assert resumed.returncode == 0, resumed.stderr
    require_equal_copies(tmp_path, "p-1", "p-2")
