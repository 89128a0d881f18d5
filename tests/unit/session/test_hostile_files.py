"""Session files from elsewhere, within the types but made to break whatever shows them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import streams
from support.hostile_sessions import spoil_models, spoil_texts
from txtop.analysis.metrics import FinalMetrics
from txtop.export import json
from txtop.export.text import table
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.session import catalog
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

BIG = 2**63 - 1
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


@pytest.mark.fault(18)
@pytest.mark.fault(19)
@pytest.mark.parametrize("spoil", [spoil_texts, spoil_models])
def test_no_text_of_a_session_file_reaches_a_terminal_or_an_export_raw(
    tmp_path: Path, spoil: Callable[[list[AnyEvent]], None]
) -> None:
    made = streams.stream()
    spoil(made)
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"".join(map(codec.encode_event, made)))
    for command in (("show", str(path)), ("export", str(path)), ("replay", str(path)), ()):
        arguments = command or ("sessions", "--session-dir", str(tmp_path))
        done = subprocess.run(
            [sys.executable, "-m", "txtop", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stderr
        assert not RAW.search(done.stdout + done.stderr), arguments
        if command:
            assert "[@click=app.quit]" in done.stdout + done.stderr


def _set(kind: type[AnyEvent], **facts: object) -> Callable[[list[AnyEvent]], None]:
    def change(made: list[AnyEvent]) -> None:
        for event in made:
            if isinstance(event, kind):
                for name, value in facts.items():
                    setattr(event, name, value)

    return change


def _clock(made: list[AnyEvent]) -> None:
    """Return two segments of 292 years: together more than 63 bits of nanoseconds."""
    late = events.Telemetry(t_ns=BIG, device="host", values={"cpu_percent": 1.0})
    made[4:4] = [late, events.Segment(t_ns=0, boot_id="b", wall_s=1.0, pid=BIG), late]


EXTREMES = {
    "a date beyond the calendar": _set(events.SessionEnded, wall_s=1e300),
    "a date before it": _set(events.Segment, wall_s=-1e18),
    "readings whose sum overflows": _set(events.Telemetry, values={"cpu_percent": 1.7e308}),
    "a load that overflows": _set(events.ModelLoaded, load_s=1.7e308, phases={"import": -1.7e308}),
    "a clock that overflows": _clock,
    "the largest integers": _set(events.Iteration, e2e_ns=BIG, ttft_ns=BIG, tokens=BIG),
    "an answer in no time": _set(events.Iteration, e2e_ns=1, ttft_ns=0),
    "a first token after the last": _set(events.Iteration, e2e_ns=1, ttft_ns=BIG),
    "gaps that are too long": _set(events.TokenTimings, gaps_ns=[BIG, BIG]),
    "steps from nowhere": _set(events.TokenTimings, first=BIG, index=BIG),
    "peaks beyond any machine": _set(events.Memory, host_bytes=BIG, reserved_bytes=BIG),
}


@pytest.mark.fault(13)
@pytest.mark.parametrize("name", EXTREMES)
def test_extremes_are_shown_or_rejected_and_never_raise(tmp_path: Path, name: str) -> None:
    made = streams.stream()
    EXTREMES[name](made)
    path = tmp_path / "s.jsonl"
    streams.write(path, made)
    logged, _ = read_all(path)
    state = fold_all(logged)
    assert table.format_report(state, FinalMetrics()).count("gpt2") >= 1
    assert json.to_json(state, FinalMetrics()).endswith(b"}\n")


@pytest.mark.fault(13)
@pytest.mark.parametrize("wall_s", [1e300, -1e300, 1e18, -1.0])
def test_a_header_with_an_impossible_date_hides_no_other_session(
    tmp_path: Path, wall_s: float
) -> None:
    made = streams.stream()
    streams.write(tmp_path / "good.jsonl", made)
    assert isinstance(made[0], events.SessionHeader)
    made[0].wall_s = wall_s
    streams.write(tmp_path / "bad.jsonl", made)
    listed = subprocess.run(
        [sys.executable, "-m", "txtop", "sessions", "--session-dir", str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert listed.returncode == 0
    by_name = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert "done" in by_name["good"] and "unreadable" in by_name["bad"]
    assert catalog.read_entry(tmp_path / "bad.jsonl") is None


def test_one_new_token_leaves_no_gap_and_says_so() -> None:
    made = streams.stream()
    _set(events.Iteration, tokens=1)(made)
    _set(events.TokenTimings, gaps_ns=[20_000_000])(made)
    metrics = FinalMetrics().of(fold_all(made).cells["c001"])
    for name in ("tpot_ms", "itl_ms", "decode_tokens_per_s"):
        assert metrics[name].mean is None and metrics[name].notes == ["no value: one new token"], (
            name
        )
    assert metrics["ttft_ms"].mean is not None and metrics["tokens_per_s"].mean is not None
