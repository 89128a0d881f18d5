"""A screen as a thread beside the model, which txtop avoids, must fail the overhead check."""

from __future__ import annotations

import json
import sys
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from support.paths import SUPPORT
from txtop.selftest.alternation import compare_loops
from txtop.selftest.bare_arm import BareArm, build_bare_command
from txtop.selftest.overhead import MODEL

TOKENS = 32


@pytest.mark.slow
def test_a_screen_in_the_models_process_fails_the_check(tmp_path: Path) -> None:
    """A few pairs of one start are enough: the ratio is far beyond the bounds."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(MODEL))
    plain = build_bare_command(config, sequence_length=32, new_tokens=TOKENS, threads=1)
    threaded = [sys.executable, str(SUPPORT / "screen_thread.py"), *plain[4:]]
    with closing(BareArm(plain, tmp_path / "bare.log")) as bare:
        bare.wait_loaded()
        with closing(BareArm(threaded, tmp_path / "threaded.log")) as screened:
            screened.wait_loaded()
            lines: list[str] = []
            result = compare_loops(
                lambda: nullcontext((bare, screened)),
                min_pairs=4,
                max_pairs=8,
                half_width=0.01,
                say=lines.append,
                turns=2,
            )
    assert result.outcome == "fail", "\n".join([*lines, *result.format_lines()])
    assert result.exit_code == 1
    assert result.mean.ratio > 1.1
    assert result.p99.ratio > 2
