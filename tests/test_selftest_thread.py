"""The arrangement that txtop does not have, a screen as a thread beside the model, must fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from txtop.selftest.overhead import MODEL
from txtop.selftest.pairing import compare
from txtop.selftest.plain import Plain, bare_command

TOKENS = 32


def test_a_screen_in_the_models_process_fails_the_check(tmp_path: Path) -> None:
    """Few pairs, since the ratio is far beyond the bounds: 1.84 to 2.09 was measured."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps(MODEL))
    plain = bare_command(config, sequence_length=32, new_tokens=TOKENS, threads=1)
    threaded = [sys.executable, str(Path(__file__).with_name("selftest_threaded.py")), *plain[3:]]
    bare = Plain(plain, tmp_path / "bare.log")
    watched = Plain(threaded, tmp_path / "threaded.log")
    try:
        bare.wait_loaded()
        watched.wait_loaded()
        said: list[str] = []
        result = compare(
            bare,
            watched,
            min_pairs=4,
            max_pairs=8,
            half_width=0.02,
            say=said.append,
            turns=2,
        )
    finally:
        watched.close()
        bare.close()
    assert result.outcome == "fail", "\n".join([*said, *result.lines()])
    assert result.exit_code == 1
    assert result.mean.ratio > 1.1
    assert result.p99.ratio > 2
