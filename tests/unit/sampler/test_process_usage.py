"""The CPU and memory cost of watched processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from txtop.sampler.process_usage import NotAProcess, WatchedProcesses


def test_watched_processes_by_label_and_by_number() -> None:
    watched = WatchedProcesses()
    watched.add(f"tests={os.getpid()}")
    watched.add(str(os.getppid()))
    costs = {cost.label: cost for cost in watched.costs()}
    assert set(costs) == {"tests", str(os.getppid())}
    assert costs["tests"].cpu_s > 0
    assert costs["tests"].rss_bytes > 2**20


def test_a_process_that_ended_leaves_the_list() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        watched = WatchedProcesses()
        watched.add(f"child={child.pid}")
        assert len(watched.costs()) == 1
        child.communicate(b"\n")
    assert watched.costs() == []
    watched.add(f"child={child.pid}")
    assert watched.costs() == []


@pytest.mark.parametrize("text", ["", "x", "a=", "a=-1", "a=1.5", "=x", "a=99999999999", "a=٣"])
def test_what_is_no_process_is_refused(text: str) -> None:
    with pytest.raises(NotAProcess):
        WatchedProcesses().add(text)
