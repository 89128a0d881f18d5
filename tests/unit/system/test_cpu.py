"""The processor's name and features, read from made-up /proc/cpuinfo files."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import psutil
import pytest

from support.paths import ROOT
from txtop.runner.machine_info import read_machine
from txtop.sampler.probe import _probe_processor
from txtop.system import cpu
from txtop.system.cpu import read_cpu_features, read_cpu_name

X86 = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: A CPU @ 2.00GHz\nflags\t\t: fpu avx2\n"
ARM = "processor\t: 0\nFeatures\t: fp asimddp\n\nModel\t\t: A Board Rev 1.0\n"


@pytest.mark.parametrize(
    ("text", "name", "features"),
    [
        (X86 + X86.replace("A CPU", "Another"), "A CPU @ 2.00GHz", {"fpu", "avx2"}),
        (X86 + "vmx flags\t: ept\n", "A CPU @ 2.00GHz", {"fpu", "avx2"}),
        (ARM, "A Board Rev 1.0", {"fp", "asimddp"}),
        ("model name\t: \nmodel name\t: Fast\x1b[31m\n", "Fast\x1b[31m", set()),
        ("", os.uname().machine, set()),
    ],
)
def test_a_processor(tmp_path: Path, text: str, name: str, features: set[str]) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(text)
    assert read_cpu_name(cpuinfo) == name
    assert read_cpu_features(cpuinfo) == features


def test_bytes_that_are_no_text_are_kept_out(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_bytes(b"model name\t: A \xff CPU\n")
    assert read_cpu_name(cpuinfo) == "A \ufffd CPU"


def test_no_proc_is_the_architecture(tmp_path: Path) -> None:
    assert read_cpu_name(tmp_path / "absent") == os.uname().machine
    assert read_cpu_features(tmp_path / "absent") == frozenset()


@pytest.fixture
def host(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of 64 logical and 32 physical cores with this affinity and quota."""
    affinity, quota = request.param
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(affinity)))
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 64 if logical else 32)
    monkeypatch.setattr(cpu, "read_cpu_quota", lambda: quota)


@pytest.mark.fault(54)
@pytest.mark.parametrize(
    ("host", "allowed", "threads"),
    [
        ((64, None), 64, 31),
        ((64, 2.0), 2, 1),
        ((64, 8.5), 8, 7),
        ((64, 0.5), 1, 1),
        ((64, 100.0), 64, 31),
        ((4, None), 4, 3),
        ((4, 2.0), 2, 1),
        ((4, 16.0), 4, 3),
    ],
    indirect=["host"],
)
@pytest.mark.usefixtures("host")
def test_threads_follow_the_cores_that_are_allowed(allowed: int, threads: int) -> None:
    assert cpu.count_allowed_cores() == allowed
    assert cpu.choose_thread_count() == threads
    assert read_machine().cores_allowed == (allowed if allowed < 64 else None)
    assert (f"of which {allowed} may be used" in _probe_processor().detail) is (allowed < 64)


@pytest.mark.fault(54)
def test_affinity_and_quota_are_read_in_one_place() -> None:
    """But for the selftest, which pins processes to a core."""
    package = ROOT / "txtop"
    readers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "sched_getaffinity"
    }
    assert readers == {"system/cpu.py", "selftest/overhead.py"}
