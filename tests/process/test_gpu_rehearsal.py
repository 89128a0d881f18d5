"""The rehearsal of the acceptance run: whatever of it a CPU can run works, the rest is skipped."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.paths import ROOT


@pytest.mark.slow
def test_no_step_fails_and_the_others_wait_for_a_gpu() -> None:
    script = ROOT / "tests" / "gpu" / "accept.py"
    done = subprocess.run([sys.executable, script, "rehearse"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    passed, failed, skipped = (int(n) for n in done.stdout.splitlines()[-1].split()[::2])
    assert failed == 0 and passed > skipped > 0
