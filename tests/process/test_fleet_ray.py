"""Places that a Ray cluster gives: three nodes on this machine."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from support.command_line import txtop
from support.held_places import build_arguments, require_equal_copies, start
from support.paths import ROOT
from support.waiting import wait_until
from support.warm_workers import build_ray_environment, build_warm_program
from txtop.fleet.folder import read_fleet
from txtop.runner.liveness import load_session

# Many times what it takes, for machines that do much else.
WAIT_S = 120.0

# To import it here would have every test process do so.
if find_spec("ray") is None:
    pytest.skip("ray is not installed", allow_module_level=True)

# Three nodes are on one machine, so each starts only what a place needs.
NODE = {
    "num_cpus": 1,
    "num_gpus": 1,
    "include_dashboard": False,
    "include_log_monitor": False,
    "no_monitor": True,
}
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_prestart_worker_first_driver": "0",
    # Ray asks a node that is gone five times, every 3 s.
    "RAY_health_check_period_ms": "200",
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Three nodes with a pretend GPU each, two of which have `pretend` as well."""
    from ray.cluster_utils import Cluster

    # The path of a socket has to be short.
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="ray-") as folder:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        # There Ray writes the cluster's address, and takes for granted that /tmp/ray exists.
        patch.setenv("RAY_TMPDIR", folder)
        Path(folder, "ray").mkdir()
        nodes = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": folder})
        for _ in range(2):
            nodes.add_node(wait=False, resources={"pretend": 2}, temp_dir=folder, **NODE)
        nodes.wait_for_nodes(timeout=WAIT_S)
        yield nodes
        nodes.shutdown()
        wait_until(lambda: not find_ray_processes(folder), lambda: find_ray_processes(folder))


def find_ray_processes(folder: str) -> list[int]:
    """Return the processes of the cluster that logs to `folder`."""
    pids = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            printed = [os.readlink(path / "fd" / number) for number in ("1", "2")]
            if any(name.startswith(folder) for name in printed):
                pids.append(int(path.name))
    return pids


@pytest.mark.slow
def test_resources_choose_the_places(tmp_path: Path, cluster: Any) -> None:
    arguments = build_arguments(tmp_path, "p=ray:pretend=2")
    done = txtop(*arguments, RAY_ADDRESS=cluster.address, timeout=WAIT_S)
    assert done.returncode == 0, done.stderr
    require_equal_copies(tmp_path, "p-1", "p-2")
    none = txtop(
        *build_arguments(tmp_path, "ray:pretend=3"), RAY_ADDRESS=cluster.address, timeout=WAIT_S
    )
    assert none.returncode == 2 and "no node is free with pretend=3" in none.stderr


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
    assert run.wait(WAIT_S) == 130, rest
    here = ("--session-dir", str(tmp_path / "here"))
    resumed = txtop("resume", "f", *here, RAY_ADDRESS=cluster.address, timeout=WAIT_S)
    assert resumed.returncode == 0, resumed.stderr
    require_equal_copies(tmp_path, "p-1", "p-2")


def test_cells_are_dealt_over_nodes_and_one_that_is_lost_is_named(
    tmp_path: Path, cluster: Any
) -> None:
    dealt, whole = tmp_path / "dealt", tmp_path / "whole"
    spread = ("--spread", "--threads", "1", "2")
    client = {**build_ray_environment(), "RAY_ADDRESS": cluster.address}
    program = build_warm_program(ROOT / "txtop" / "__main__.py")
    arguments = build_arguments(dealt, "p=ray:pretend=2 num_gpus=1", program=program)
    done = txtop(*arguments, *spread, timeout=WAIT_S, **client)
    assert done.returncode == 0, done.stderr
    require_equal_copies(dealt, "p-1", "p-2")
    states = [load_session(dealt / "there" / f"f-{label}")[0] for label in ("p-1", "p-2")]
    assert [sorted(state.cells) for state in states] == [["c001", "c002"], ["c003", "c004"]]

    # None ends of itself, so that the node is lost while its run goes on.
    arguments = build_arguments(whole, "ray", iterations=100_000, program=program)
    run = start(arguments, **client)
    assert run.stderr is not None
    there = {"TXTOP_SESSION_DIR": str(whole / "there")}
    lines: list[str] = []
    begun: set[str] = set()
    lost = ""
    try:
        for line in run.stderr:
            lines.append(line)
            if match := re.match(r"(ray-[123]) .*started$", line):
                begun.add(match[1])
            if len(begun) == 3 and not lost:
                lost = lose_node(cluster, whole / "here" / "f")
                for name in sorted(begun - {lost}):
                    assert txtop("stop", f"f-{name}", **there).returncode == 0
        assert run.wait(WAIT_S) == 1, lines
    finally:
        run.terminate()
        txtop("stop", f"f-{lost}", **there)
    assert any(re.match(rf"{lost} +Ray's node \S+ is lost", line) for line in lines), lines
    assert any(re.match(rf"{lost} +not measured: .*batch 1.*batch 4", line) for line in lines)
    require_equal_copies(whole, *begun - {lost})


def lose_node(cluster: Any, fleet: Path) -> str:
    """Kill a node that is not the head. Return the label of its place in a fleet."""
    node = next(iter(cluster.worker_nodes))
    cluster.remove_node(node, allow_graceful=False)
    (member,) = (m for m in read_fleet(fleet).members if m.target.endswith(node.node_id[:8]))
    return member.label
