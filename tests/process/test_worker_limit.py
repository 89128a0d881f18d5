"""The limit that a probe is held to: what is beyond it is refused, by a real allocator."""

from __future__ import annotations

import json
import mmap
import subprocess
from pathlib import Path

import pytest

from support.warm_workers import build_warm_command
from txtop.worker import memory

SCRIPT = """
import json, resource, torch
from txtop.worker import memory

MIB = 1 << 20
device = torch.device("cpu")
try:
    memory.limit_memory(device, memory.read_host_bytes() // 2)
    below = "nothing"
except MemoryError as error:
    below = str(error)
hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
memory.limit_memory(device, memory.read_host_bytes() + 200 * MIB)
small = torch.ones(120 * MIB // 4)
try:
    torch.ones(120 * MIB // 4)
    beyond = "nothing"
except RuntimeError as error:
    beyond = str(error)
print(json.dumps([below, small.numel() * 4 // MIB, beyond]))
"""


def test_what_is_mapped_and_never_touched_is_no_resident_memory() -> None:
    mib = 1 << 20
    before = memory.read_mapped_bytes()
    with mmap.mmap(-1, 200 * mib) as block:
        mapped = memory.read_mapped_bytes()
        block.write(bytes(150 * mib))
        touched = memory.read_mapped_bytes()
    assert before is not None and mapped is not None and touched is not None
    assert mapped - before == pytest.approx(200 * mib, abs=20 * mib)
    assert touched - before == pytest.approx(50 * mib, abs=40 * mib)


def test_a_process_is_held_to_its_memory(tmp_path: Path) -> None:
    script = tmp_path / "limited.py"
    script.write_text(SCRIPT)
    done = subprocess.run(build_warm_command(script), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    below, small, beyond = json.loads(done.stdout.splitlines()[-1])
    assert below.startswith("out of memory: the loaded model takes")
    assert small == 120
    assert "can't allocate memory" in beyond
