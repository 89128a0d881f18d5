"""The engine Slurm: a place is a job, or a step of the allocation that txtop runs in.

`python -m txtop.fleet.engines.slurm JOB[.STEP]@NODE COMMAND…` runs a command in one.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence

from txtop.errors import RunError, UsageError
from txtop.fleet.engines.engine import EXIT_LOST, Engine, Tell
from txtop.system.search_path import build_module_command

POLL_S = 1.0
STEP_START_S = 10
"""An allocation that has no room for one more step has none later either: the others hold it."""
ENDING_POLLS = 10
TIDY_S = 0.5
PENDING = ("PENDING", "CONFIGURING", "REQUEUED")
_ENDED_TASK = re.compile(r"srun: error: \S+: task \d+: |srun: Terminating ")

# Slurm ends every process that a step leaves behind. A run has to outlive the step that starts it,
# so it is started by the process that holds the place, which is asked through two pipes.
_BOX = "umask 077; box=/tmp/txtop-$SLURM_JOB_ID.{step}; "
_HOLD = """\
[ -O "$box" ] && rm -rf "$box"
mkdir "$box" && mkfifo "$box/code" "$box/ask" || exit 1
trap 'rm -rf "$box"' EXIT
trap 'exit 0' TERM
echo "{step}@$SLURMD_NODENAME"
while read -r _ < "$box/ask"; do
    sh "$box/command" < "$box/in" > "$box/out" 2> "$box/err"
    echo $? > "$box/code"
done
"""
_ASK = """\
until [ -p "$box/ask" ]; do sleep 0.1; done
cat > "$box/in"
printf '%s' "$1" > "$box/command"
echo > "$box/ask"
read -r code < "$box/code"
cat "$box/out"
cat "$box/err" >&2
rm "$box/in" "$box/out" "$box/err" "$box/command"
exit "$code"
"""


def _build(target: str, command: list[str]) -> list[str]:
    return build_module_command("txtop.fleet.engines.slurm", target, *command)


def _require() -> None:
    if not (shutil.which("srun") and shutil.which("sbatch")):
        raise UsageError(
            "Slurm's srun is not on this machine",
            "run on a login node, or install it: apt install slurm-client",
        )


def _hold(targets: list[str], tell: Tell) -> list[list[str]]:
    """Ask for a job with the options of each target, and wait until all run.

    Raises:
        UsageError: Slurm refuses; what it had given is given back.
    """
    allocation = os.environ.get("SLURM_JOB_ID")
    held: list[str] = []
    try:
        if allocation:
            held.extend(_start_step(allocation, shlex.split(target)) for target in targets)
            return [[step] for step in held]
        for target in targets:
            held.append(_submit(shlex.split(target)))
        return [[f"{job}@{_wait_for_job(job, tell)}"] for job in held]
    except BaseException:
        _release(held)
        raise


def _submit(options: list[str]) -> str:
    command = ["sbatch", "--parsable", "--job-name=txtop", "--output=/dev/null", "--no-requeue"]
    script = "#!/bin/sh\n" + _BOX.format(step="batch") + _HOLD.format(step="batch")
    process = subprocess.Popen(
        [*command, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        output, errors = process.communicate(script)
    except BaseException:
        # Nothing but the answer names a job that is asked for already.
        _release(_read_job_number(process.communicate()[0]))
        raise
    if process.returncode:
        raise UsageError(f"sbatch refuses: {_pick_last_line(errors)}", "nothing was started")
    return _read_job_number(output)[0]


def _read_job_number(answer: str) -> list[str]:
    """Return the number of the job that sbatch has made; nothing if it has made none."""
    return answer.partition(";")[0].split()


def _wait_for_job(job: str, tell: Tell) -> str:
    """Wait until a job runs, and return its first node."""
    last_told = ""
    while True:
        state, reason, node = _read_job(job)
        if state == "RUNNING" and node:
            return node
        if state not in (*PENDING, "RUNNING"):
            raise UsageError(_describe_end(job, state), "nothing was started")
        if reason != last_told and reason not in ("", "None"):
            tell(f"job {job} waits: {reason}")
            last_told = reason
        time.sleep(POLL_S)


def _start_step(job: str, options: list[str]) -> str:
    """Start the step that holds a place of an allocation, and return its target."""
    step = "$SLURM_STEP_ID"
    script = _BOX.format(step=step) + _HOLD.format(step=f"$SLURM_JOB_ID.{step}")
    command = ["srun", "--exact", "-N1", "-n1", f"--immediate={STEP_START_S}", *options]
    process = subprocess.Popen(
        [*command, "sh", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        target = process.stdout.readline().strip()
    except BaseException:
        # Waiting, srun gives up; of a step that runs already it ends the processes.
        process.terminate()
        process.wait()
        raise
    if not target:
        refusal = _pick_last_line(process.stderr.read())
        raise UsageError(f"job {job} has no room for the step: {refusal}", "ask for fewer places")
    return target


def _release(targets: list[str]) -> None:
    """Cancel the jobs and steps of `targets`, after they have removed their pipes."""
    if targets:
        names = [target.partition("@")[0] for target in targets]
        subprocess.run(["scancel", "--signal=TERM", "--full", *names], capture_output=True)
        time.sleep(TIDY_S)
        subprocess.run(["scancel", "--full", *names], capture_output=True)


def _list_held(targets: list[str]) -> list[str]:
    """Return the targets whose job or step runs. Raises `RunError` if Slurm does not answer."""
    return [target for target in targets if _is_running(target.partition("@")[0])]


def _is_running(name: str) -> bool:
    job, is_step, _ = name.partition(".")
    if _read_job(job)[0] != "RUNNING":
        return False
    if not is_step:
        return True
    ran = subprocess.run(["squeue", "-h", "-o", "%i", "-s", name], capture_output=True, text=True)
    return name in ran.stdout.split()


def _pin(wish: str, target: str) -> str:
    return f"{wish} --nodelist={target.partition('@')[2]}".strip()


def _read_job(job: str) -> tuple[str, str, str]:
    """Return the state of a job, why it waits, and its first node; empty for one Slurm forgot.

    Raises `RunError` if Slurm does not answer.
    """
    ran = subprocess.run(["scontrol", "show", "job", "-o", job], capture_output=True, text=True)
    if ran.returncode and "Invalid job id" not in ran.stderr:
        raise RunError("Slurm does not answer", _pick_last_line(ran.stderr))
    fields = dict(re.findall(r"(\w+)=(\S+)", ran.stdout))
    return fields.get("JobState", ""), fields.get("Reason", ""), fields.get("BatchHost", "")


def _read_end(job: str) -> str:
    """Return the state of a job; of one that is just ending, the one that it ends in."""
    for _ in range(ENDING_POLLS):
        state, _, _ = _read_job(job)
        if state != "COMPLETING":
            break
        time.sleep(POLL_S)
    return state


def _describe_end(job: str, state: str) -> str:
    return f"Slurm's job {job} has ended ({state or 'Slurm no longer knows it'})"


def _pick_last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].removeprefix("sbatch: error: ") if lines else "no error message"


def run_in_place(target: str, command: Sequence[str]) -> int:
    """Run a command in a held place. Return its exit code, or `EXIT_LOST` if the job has ended."""
    name, _, node = target.partition("@")
    job, _, step = name.partition(".")
    box = _BOX.format(step=step or "batch")
    parts = list(command)
    if "--detach" in parts:
        parts = ["sh", "-c", box + _ASK, "sh", shlex.join(parts)]
    # Of an allocation that txtop itself runs in nothing may be taken for this step's own wishes.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SLURM_") or name == "SLURM_CONF"
    }
    process = subprocess.Popen(
        [
            *("srun", f"--jobid={job}", f"--nodelist={node}", "--overlap", "--quiet"),
            *("-N1", "-n1", "--mem=0", "--", *parts),
        ],
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if not _ENDED_TASK.match(line):
            print(line, end="", file=sys.stderr, flush=True)
    code = process.wait()
    try:
        state = _read_end(job)
    except RunError as error:
        print(error, file=sys.stderr)
        return code or 1
    if state == "RUNNING":
        return code
    print(_describe_end(job, state), file=sys.stderr)
    return EXIT_LOST


SLURM = Engine(
    _build,
    hold=_hold,
    release=_release,
    list_held=_list_held,
    pin=_pin,
    require=_require,
    is_counted=True,
)


if __name__ == "__main__":
    sys.exit(run_in_place(sys.argv[1], sys.argv[2:]))
