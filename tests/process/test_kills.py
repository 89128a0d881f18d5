"""Each kind of process killed once at a drawn moment; `make kills` makes 200 runs with torch.

The runner of a race is killed in each of its stages, that of a search for what fits in a probe.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from support import kills, tiny_models
from support.paths import SHIM

# The others are ended by the same lines; `make kills` ends all in turn.
_QUICK = ("worker", "runner", "screen")


@pytest.mark.fault(4)
@pytest.mark.parametrize(
    "role",
    [pytest.param(r, marks=() if r in _QUICK else pytest.mark.slow) for r in kills.ROLES],
)
def test_a_kill_costs_at_most_a_second_and_resume_finishes(tmp_path: Path, role: str) -> None:
    seed = int(os.environ.get("TXTOP_SEED", "0")) or random.SystemRandom().randrange(10**6)
    after_s = random.Random(seed).uniform(0, 2)
    env = {"PYTHONPATH": str(SHIM)}
    fate = kills.kill_one(role, after_s, tmp_path, "ok", 300, env)
    assert fate.killed and not fate.wrong, f"TXTOP_SEED={seed}: {fate}"


@pytest.mark.parametrize(
    "real", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["fake", "tiny-model"]
)
def test_a_race_killed_in_both_stages_repeats_nothing_and_names_the_same(
    tmp_path: Path, real: bool
) -> None:
    """The runner dies in the race, then in the confirmation, and is resumed each time.

    Four sequences at once make more tokens a second than one, in any process.
    """
    model = str(tiny_models.gpt2(tmp_path / "gpt2")) if real else "ok"
    env = {"TXTOP_NEIGHBOURS": "ignore", **({} if real else {"PYTHONPATH": str(SHIM)})}
    knobs = ["--budget", "6", "--weights", "random"]
    fate = kills.kill_in_race(("race", "confirm"), tmp_path / "sessions", model, knobs, env)
    assert fate.killed and not fate.wrong, fate
    assert fate.winner is not None and fate.winner[1] == 4
    # In bf16 the fake takes half as long.
    assert real or fate.winner == ("bf16", 4)


@pytest.mark.parametrize(
    "real", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["fake", "small-model"]
)
def test_a_search_killed_in_a_probe_repeats_none_that_ended(tmp_path: Path, real: bool) -> None:
    knobs = ["--sequence-length", "8"]
    model = "holds-12"
    if real:
        folder = tiny_models.gpt2(tmp_path / "gpt2", weights=False)
        values = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        values |= {"n_positions": 512, "n_embd": 192, "n_head": 4, "vocab_size": 4096}
        (folder / "config.json").write_text(json.dumps(values), encoding="utf-8")
        model, knobs = str(folder), ["--sequence-length", "256", "--memory", "600MiB"]
    env = {"TXTOP_NEIGHBOURS": "ignore", **({} if real else {"PYTHONPATH": str(SHIM)})}
    knobs += ["--weights", "random"]
    fate = kills.kill_in_search(tmp_path / "sessions", model, knobs, env)
    assert fate.killed and not fate.wrong, fate
    assert fate.edge is not None and fate.edge[1] == fate.edge[0] + 1
    assert real or fate.edge == (12, 13)
