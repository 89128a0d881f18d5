"""A worker that is really throttled is detected by recording and comparing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from support.paths import TESTS

SCRIPT = TESTS / "bench" / "regression.py"


@pytest.mark.slow
def test_a_slow_down_is_found_and_none_where_there_is_none() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--pairs", "3"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
