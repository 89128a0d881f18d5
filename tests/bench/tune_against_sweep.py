"""Hold a race of 24 candidates against the exhaustive sweep of the same cells.

Both are real runs of a small GPT-2 with random weights. The race runs between the two halves of
the sweep, so that a machine that drifts treats both alike. Measuring time is that of all timed
calls, those of blocks that were discarded included. The cells of a sweep are measured at different
times, so where both name another one, an A/B decides how far these are apart.
`tune_against_sweep.py FOLDER [STEP ...]`, where a step is `fp32`, `tune`, `bf16`, `ab` or
`compare`, by default all of them; one that was cut off goes on when it is asked for again. Exits 1
if the race takes over 40 % of the sweep's time, or its winner is over 3 % slower than the sweep's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from txtop.analysis.metrics import compute_mean
from txtop.analysis.tuning import find_result
from txtop.plan.cell import Cell
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.units import NS_PER_S

MOST_TIME, MOST_AWAY = 0.40, 0.03
STEPS = ("fp32", "tune", "bf16", "ab", "compare")
CONFIG = {
    "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 4096,
    "n_positions": 256, "n_embd": 192, "n_layer": 3, "n_head": 4, "bos_token_id": 0,
    "eos_token_id": 0,
}  # fmt: skip
PRECISIONS = ("fp32", "bf16")
SPACE = {
    "attention": ("sdpa", "eager"),
    "batch-sizes": ("1", "2", "4"),
    "cache": ("dynamic", "static"),
}
SIZES = {"sequence-length": "16", "new-tokens": "8"}


def run_step(folder: Path, step: str) -> bool:
    """Run the race, the half of the sweep in the precision `step`, or the A/B of both winners.

    Return True if it ran to its end.
    """
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    command = [sys.executable, "-m", "txtop"]
    sessions = folder / "sessions"
    if (sessions / step).exists():
        command += ["resume", str(sessions / step)]
    elif step == "ab":
        best, named = find_winners(folder)
        if describe(best) == describe(named):
            print("ab: both name the same")
            return True
        command += ["ab", str(model), "--fidelity-positions", "0"]
        command += ["--a", spell_arm(best), "--b", spell_arm(named)]
        command += [word for option, size in SIZES.items() for word in (f"--{option}", size)]
    elif step == "tune":
        space = {"precisions": PRECISIONS, **SPACE}
        command += ["tune", str(model), "--floor", "none", "--space"]
        command += [f"{option}={','.join(values)}" for option, values in space.items()]
        command += [word for option, size in SIZES.items() for word in (f"--{option}", size)]
    else:
        command += ["run", "--models", str(model), "--precisions", step, "--profile", "none"]
        command += ["--fidelity-positions", "0"]
        command += [word for option, given in SPACE.items() for word in (f"--{option}", *given)]
        command += ["--sequence-lengths", SIZES["sequence-length"]]
        command += ["--new-tokens", SIZES["new-tokens"]]
    if "resume" not in command:
        command += ["--weights", "random", "--threads", "1", "--session-dir", str(sessions)]
        command += ["--name", step]
    command.append("--headless")
    done = subprocess.run(command, capture_output=True, text=True)
    print(f"{step}: exit code {done.returncode} {done.stderr[-300:] if done.returncode else ''}")
    return done.returncode == 0


def read_session(folder: Path, step: str) -> SessionState:
    return fold_all(read_all(folder / "sessions" / step)[0])


def sum_measured_s(state: SessionState) -> float:
    """Return the seconds of all timed calls."""
    total_ns = 0.0
    for own in state.cells.values():
        times = zip(own.samples.e2e_ns, own.samples.role, strict=True)
        total_ns += sum(ns for ns, role in times if role == "measured")
    return total_ns / NS_PER_S


def describe(cell: Cell) -> str:
    """Return what tells the cells of the space apart."""
    return f"{cell.precision} {cell.attention} batch {cell.batch_size} {cell.cache}"


def spell_arm(cell: Cell) -> str:
    return (
        f"precision={cell.precision},attention={cell.attention},"
        f"batch-size={cell.batch_size},cache={cell.cache}"
    )


def find_winners(folder: Path) -> tuple[Cell, Cell]:
    """Return the cell with the highest rate of the sweep, and the one that the race names."""
    swept = [own for step in PRECISIONS for own in read_session(folder, step).cells.values()]
    best = max(swept, key=lambda own: compute_mean(own, "tokens_per_s") or 0.0)
    result = find_result(read_session(folder, "tune"))
    assert result is not None
    return best.cell, result.winner.cell


def compare(folder: Path) -> bool:
    """Print what both took and named. Return True if the race is as it has to be."""
    race = read_session(folder, "tune")
    swept_s = sum(sum_measured_s(read_session(folder, step)) for step in PRECISIONS)
    raced_s, share = sum_measured_s(race), sum_measured_s(race) / swept_s
    best, named = map(describe, find_winners(folder))
    away, interval = 0.0, ""
    if best != named:
        ab_test = read_session(folder, "ab").ab_test
        assert ab_test is not None
        (sequence,) = ab_test.sequences.values()
        away, ends = sequence.looks[-1].ratio - 1, sequence.looks[-1].interval
        interval = f" [{ends[0] - 1:+.1%}, {ends[1] - 1:+.1%}]" if ends is not None else ""
    assert race.race is not None
    for own in race.race.race.confirmations.values():
        print(f"  confirmed: {len(own.arms)} arms, {len(own.blocks)} blocks, {own.spent_s:.1f} s")
    print(f"  blocks that were repeated: {race.race.repeated_s:.1f} s")
    print(f"  sweep: {swept_s:.1f} s, {best}")
    print(f"  tune:  {raced_s:.1f} s, {named}")
    print(f"{share:.0%} of the sweep's time, its winner {away:+.1%}{interval} from the sweep's")
    return share <= MOST_TIME and away >= -MOST_AWAY


def main() -> int:
    folder = Path(sys.argv[1] if sys.argv[1:] else tempfile.mkdtemp())
    for step in sys.argv[2:] or STEPS:
        if not (compare(folder) if step == "compare" else run_step(folder, step)):
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
