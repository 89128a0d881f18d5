"""The acceptance run: the figures and promises of txtop on an NVIDIA GPU.

`python3 tests/gpu/accept.py 1|2|3|4` runs one call of less than nine minutes; `rehearse` runs what
a CPU can run of all, small, and checks that the rest is skipped for want of a GPU. A step prints
PASS, FAIL or SKIP with its figures and never ends the others. Exit code 1 on a FAIL.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu import steps_explain, steps_modes, steps_plain, steps_ranks, steps_users
from gpu.running import ROOT, Site, run_command
from gpu.step import Outcome, Step, judge_rehearsal, run_step, summarise

CALLS: dict[str, Sequence[Step]] = {
    "1": steps_plain.STEPS,
    "2": steps_modes.STEPS,
    "3": steps_users.STEPS,
    "4": (*steps_explain.STEPS, *steps_ranks.STEPS),
}
CALL_S = 530.0
"""The time of one call; steps that would begin later are skipped."""
SMALL = {"gpt2": "gpt2", "bert-base-uncased": "bert", "t5-small": "t5"}
SMALL_MODELS = """
import sys
from pathlib import Path
from support import tiny_models
for name, family in {names!r}.items():
    getattr(tiny_models, family)(Path({folder!r}) / name)
"""


def find_device() -> str:
    """Return `cuda` or `cpu`, as torch sees it in a process of its own."""
    check = "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')"
    try:
        done = subprocess.run(
            [sys.executable, "-c", check], capture_output=True, text=True, timeout=120
        )
    except (OSError, subprocess.TimeoutExpired):
        return "cpu"
    return "cuda" if done.stdout.split()[-1:] == ["cuda"] else "cpu"


def run_steps(steps: Sequence[Step], site: Site, until_s: float = float("inf")) -> list[Outcome]:
    """Run the steps one after the other and print each."""
    outcomes = []
    for step in steps:
        outcome = run_step(step, site, until_s)
        print("\n".join(outcome.format()), flush=True)
        outcomes.append(outcome)
    return outcomes


def run_call(number: str, work: Path) -> int:
    """Run one call. Return the exit code."""
    until_s = time.monotonic() + CALL_S
    site = Site(device=find_device(), work=work, out=find_out(work))
    outcomes = run_steps(CALLS[number], site, until_s)
    print(summarise(outcomes), flush=True)
    return int(any(outcome.verdict == "FAIL" for outcome in outcomes))


def find_out(work: Path) -> Path:
    """Return the folder for what is kept of a call."""
    return Path(os.environ.get("OUT") or work / "out")


def rehearse(work: Path, only: Sequence[str]) -> int:
    """Run all calls on a CPU with small models. Return the exit code."""
    site = Site(device="cpu", work=work, out=work / "out", rehearsal=True)
    code = SMALL_MODELS.format(names=SMALL, folder=str(work / "models"))
    path = os.pathsep.join([str(ROOT / "tests"), site.environment()["PYTHONPATH"]])
    made = run_command([sys.executable, "-c", code], site.environment(PYTHONPATH=path), 120)
    if made.code:
        print("\n".join(made.lines))
        return 1
    site.models = {name: str(work / "models" / name) for name in SMALL}
    steps = [step for call in CALLS.values() for step in call]
    if only:
        steps = [step for step in steps if step.name.startswith(tuple(only))]
    outcomes = run_steps(steps, site)
    wrong = judge_rehearsal(outcomes)
    for line in wrong:
        print(f"NOT {line}")
    print(summarise(outcomes), flush=True)
    return int(bool(wrong))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("call", choices=(*CALLS, "rehearse"))
    parser.add_argument("only", nargs="*", help="rehearse: steps by the beginning of their names")
    options = parser.parse_args()
    os.chdir(ROOT)
    work = Path(tempfile.mkdtemp(prefix="txtop-accept-"))
    try:
        if options.call == "rehearse":
            # The sessions of whoever rehearses are not to be found among these.
            os.environ["TXTOP_SESSION_DIR"] = str(work / "sessions")
            return rehearse(work, options.only)
        return run_call(options.call, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
