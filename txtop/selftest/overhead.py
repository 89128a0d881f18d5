"""`txtop selftest --overhead`: the same work bare and under the full screen, turn by turn."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from txtop.errors import UsageError
from txtop.plan.cell import Compile
from txtop.protocol.probe_reply import build_probe_command, decode_probe_reply
from txtop.runner.child_process import WORKER_COMMAND
from txtop.selftest.alternation import compare_loops
from txtop.selftest.bare_arm import BareArm, build_bare_command
from txtop.selftest.screen_arm import ScreenArm
from txtop.selftest.time_slices import LOAD_TIMEOUT_S
from txtop.selftest.verdict import OverheadResult
from txtop.system.cpu import count_allowed_cores
from txtop.system.signals import unwind_on_signals

THREADS = 1
SEQUENCE_LENGTH = 32
NEW_TOKENS = 32
# Launch-bound: nearly all of a token's time is Python and dispatch, as with a small model on a GPU.
# Its 3 MB of weights stay in the caches: at 23 MB the speed depends on the layout of memory, and
# two equal processes differ by 2 % for as long as they live, against 0.8 %.
MODEL = {
    "model_type": "gpt2",
    "architectures": ["GPT2LMHeadModel"],
    "vocab_size": 4096,
    "n_positions": 256,
    "n_embd": 64,
    "n_layer": 12,
    "n_head": 4,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
COMPILE_TIMEOUT_S = 600.0
MODEL_DESCRIPTION = f"a GPT-2 of {MODEL['n_layer']} layers of width {MODEL['n_embd']}"


def run(
    *,
    device: str = "cpu",
    compile_mode: Compile = "none",
    min_pairs: int = 10,
    max_pairs: int = 30,
    half_width: float = 0.01,
    say: Callable[[str], None],
) -> OverheadResult:
    """Run the check; `say` gets one line a pair, then the two ratios and the verdict.

    Pairs are measured until the half-width of the mean ratio is at most `half_width`, as a share
    of the ratio. With a `compile_mode` both arms compile their decode steps with a static cache; on
    CUDA all modes but `default` replay graphs. No process is left behind.

    Raises:
        UsageError: there is no such device.
        RunError: an arm does not start, or dies.
    """
    require_device(device)
    where = "" if device == "cpu" else f", on {device}"
    where += "" if compile_mode == "none" else f", --compile {compile_mode} --cache static"
    say(f"{MODEL_DESCRIPTION}, {THREADS} thread, {NEW_TOKENS} tokens a call{where}")
    say(f"both processes are restarted {min_pairs} to {max_pairs} times, half a minute each")
    warning = build_core_warning(THREADS, count_allowed_cores())
    if warning:
        say(warning)
    with unwind_on_signals():
        result = compare_loops(
            lambda: start_arms(device, compile_mode),
            min_pairs=min_pairs,
            max_pairs=max_pairs,
            half_width=half_width,
            say=say,
        )
    for line in result.format_lines():
        say(line)
    return result


def require_device(device: str) -> None:
    """Ask a worker for the devices of its torch, which this process does not import.

    Raises:
        UsageError: it has no such device.
    """
    kind = device.partition(":")[0]
    if kind == "cpu":
        return
    probe = subprocess.run(
        build_probe_command(WORKER_COMMAND[-1]), capture_output=True, stdin=subprocess.DEVNULL
    )
    try:
        entries = decode_probe_reply(probe.stdout)
    except ValueError:
        raise UsageError(
            f"no {device} device: the worker does not answer", "txtop doctor"
        ) from None
    entry = next((entry for entry in entries if entry.capability == kind), None)
    if entry is None:
        raise UsageError(f"no {device} device: torch knows none", "--device cuda, or no --device")
    if entry.state != "ok":
        raise UsageError(f"no {device} device: {entry.detail}", entry.next)


def write_model(folder: Path) -> Path:
    """Write the configuration of the model into a folder of its own in `folder`; return that."""
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps(MODEL), encoding="utf-8")
    return model


@contextmanager
def start_arms(device: str, compile_mode: Compile) -> Iterator[tuple[BareArm, ScreenArm]]:
    """Start both arms, loaded and waiting for their first turn; end them on exit."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="txtop-selftest-")))
        model = write_model(folder)
        command = build_bare_command(
            model / "config.json",
            sequence_length=SEQUENCE_LENGTH,
            new_tokens=NEW_TOKENS,
            threads=THREADS,
            device=device,
            compile_mode=compile_mode,
        )
        timeout_s = LOAD_TIMEOUT_S if compile_mode == "none" else COMPILE_TIMEOUT_S
        bare = BareArm(command, folder / "bare.log")
        stack.callback(bare.close)
        bare.wait_loaded(timeout_s)
        watched = ScreenArm(build_watched_arguments(model, device, compile_mode), folder)
        stack.callback(watched.close)
        watched.wait_loaded(timeout_s)
        core = max(os.sched_getaffinity(0))
        for pid in (bare.pid, watched.worker_pid):
            pin_to_core(pid, core)
        yield bare, watched


def pin_to_core(pid: int, core: int) -> None:
    """Pin every thread of a process to one core.

    Cores differ (by 1.4 % between the two of a virtual machine, one of which takes the interrupts),
    and a process stays where it happened to start. Screen, runner and sampler are not pinned: they
    may take the model's core, which the model then cannot leave.
    """
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def build_watched_arguments(
    model: Path, device: str = "cpu", compile_mode: Compile = "none"
) -> list[str]:
    """Build the arguments of a `txtop run` that does the work of the bare loop."""
    compiled = ["--compile", compile_mode, "--cache", "static"] if compile_mode != "none" else []
    return [
        *("--models", str(model), "--weights", "random", "--device", device, *compiled),
        *("--threads", str(THREADS), "--sequence-lengths", str(SEQUENCE_LENGTH)),
        *("--new-tokens", str(NEW_TOKENS), "--warmup", "3", "--iterations", "1000000"),
    ]


def build_core_warning(threads: int, cores: int) -> str | None:
    """Build a warning if no core is free of model threads, else None."""
    if cores > threads:
        return None
    return (
        f"warning: no core is free of model threads ({threads} of {cores}): "
        "whatever the screen takes, the model loses"
    )
