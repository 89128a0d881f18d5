"""The three scenarios by the command line, on a tiny model: sums that agree, and the output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support import tiny_models
from support.warm_workers import build_warm_environment
from txtop.analysis import serving
from txtop.analysis.metrics import FinalMetrics
from txtop.export.json import to_json
from txtop.protocol import events
from txtop.session.reader import read_all
from txtop.state.fold import fold_all


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """Return the session's folder, its export and the printed output."""
    folder = tmp_path_factory.mktemp("serving")
    model = tiny_models.gpt2(folder / "gpt2")
    command = [sys.executable, "-m", "txtop", "run", "--models", str(model)]
    command += ["--scenario", "single", "dynamic", "continuous", "--rate", "30"]
    command += ["--requests", "40", "--new-tokens", "6", "--sequence-lengths", "12"]
    command += ["--lengths", "uniform", "--slo", "ttft=2s,e2e=4s", "--max-batch", "4"]
    command += ["--headless", "--json", str(folder / "out.json"), "--session-dir", str(folder)]
    done = subprocess.run(
        [*command, "--name", "s"],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **build_warm_environment()},
    )
    assert done.returncode == 0, done.stderr
    session = next(path for path in folder.iterdir() if (path / "events.jsonl").is_file())
    return session, json.loads((folder / "out.json").read_text()), done.stdout


def test_requests_and_tokens_add_up(ran: tuple[Path, dict[str, Any], str]) -> None:
    session, export, _ = ran
    answered = [e for e in read_all(session)[0] if isinstance(e, events.Request)]
    assert [cell["scenario"] for cell in export["cells"]] == ["single", "dynamic", "continuous"]
    for cell in export["cells"]:
        mine = [e for e in answered if e.cell == cell["id"] and e.role == "measured"]
        count = cell["requests"]
        assert (cell["status"], count["offered_per_s"]) == ("ok", 30)
        assert count["sent"] == 40 == count["answered"] + count["unanswered"]
        assert count["answered"] == len(mine) == cell["metrics"]["e2e_ms"]["n"]
        assert {e.index for e in mine} == set(range(count["answered"]))
        assert cell["tokens"]["output"] == sum(e.tokens for e in mine)
        assert cell["tokens"]["prompt"] == sum(e.prompt_tokens for e in mine)
        assert all(len(e.gaps_ns) == e.tokens - 1 for e in mine)
        metrics = cell["metrics"]
        for name in ("queue_ms", "ttft_ms", "tpot_ms", "e2e_ms", "output_tokens_per_s"):
            assert metrics[name]["mean"] > 0
        assert 0 < metrics["occupancy"]["mean"] <= 1
        assert 0 <= metrics["padding_waste"]["mean"] < 1
        assert 0 <= metrics["goodput_share"]["mean"] <= 1
        # A tiny model may be done with all requests between two looks at its cache.
        assert cell["scenario"] == "continuous" or "kv_cache_use" not in metrics
    prompts = [cell["tokens"]["prompt"] for cell in export["cells"]]
    assert len(set(prompts)) == 1


def test_the_rate_is_the_tokens_over_the_window(ran: tuple[Path, dict[str, Any], str]) -> None:
    state = fold_all(read_all(ran[0])[0])
    for cell in state.cells.values():
        window = serving.compute_window_ns(cell)
        assert window is not None
        seconds = (window[1] - window[0]) / 1e9
        rate = serving.summarise_rate(cell, "output_tokens_per_s").mean
        assert rate is not None
        assert rate * seconds == pytest.approx(serving.count_totals(cell).output_tokens, abs=1)
        late = serving.compute_lateness(cell)
        assert late is not None and late < 0.5
    assert json.loads(to_json(state, FinalMetrics())) == ran[1]


def test_the_table_says_load_queue_and_goodput(ran: tuple[Path, dict[str, Any], str]) -> None:
    _, _, printed = ran
    lines = printed.splitlines()
    heading = next(line for line in lines if line.startswith("server"))
    assert {"answered/s", "padding"} <= set(heading.split())
    rows = lines[lines.index(heading) + 1 :][:3]
    assert [row.split()[0] for row in rows] == ["single", "dynamic", "continuous"]
    # What all three share stands above the table.
    assert all(text in printed for text in ("40 of 40", "after 130", "offered/s", "good/s"))
    assert "warm-up" not in printed
