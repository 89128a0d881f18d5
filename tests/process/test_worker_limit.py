"""The limit that a probe is held to: what is beyond it is refused, by a real allocator."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from support.warm_workers import build_warm_command

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


def test_a_process_is_held_to_its_memory(tmp_path: Path) -> None:
    script = tmp_path / "limited.py"
    script.write_text(SCRIPT)
    done = subprocess.run(build_warm_command(script), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    below, small, beyond = json.loads(done.stdout.splitlines()[-1])
    assert below.startswith("out of memory: the loaded model takes")
    assert small == 120
    assert "can't allocate memory" in beyond
