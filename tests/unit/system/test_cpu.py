"""The processor's name and features, read from made-up /proc/cpuinfo files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
