"""Call 2: the modes, and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpu import checks_modes as checks
from gpu.figures import Finding, fact, value_of
from gpu.running import (
    MARK,
    Site,
    StepFailed,
    TxtopRun,
    alternate,
    find_worker,
    kill_marked,
    read_events,
    wait_for,
)
from gpu.step import Step
from gpu.steps_plain import nvidia_smi, short, table, weights

KERNELS = ("eager", "sdpa", "sdpa:flash", "sdpa:efficient", "sdpa:math", "sdpa:cudnn", "flex")
CPU_KERNELS = ("eager", "sdpa", "sdpa:flash", "sdpa:math")
LOST_MODEL = '''
import torch
from transformers import GPT2Config, GPT2LMHeadModel

class LostConfig(GPT2Config):
    model_type = "lost"

class LostModel(GPT2LMHeadModel):
    """A decoder that reads outside of a tensor in its hundredth pass."""
    config_class = LostConfig
    passes = 0
    def forward(self, *arguments, **options):
        LostModel.passes += 1
        if LostModel.passes == 100:
            device = self.device
            torch.zeros(4, device=device)[torch.full((4,), 10**6, device=device)]
        return super().forward(*arguments, **options)
'''
FREE_SLACK_BYTES = 64 << 20


def check_attention(site: Site) -> list[Finding]:
    kernels = CPU_KERNELS if site.rehearsal else KERNELS
    models = ["gpt2"] if site.rehearsal else ["gpt2", "SmolLM2-135M"]
    lengths = short(site) or ["--new-tokens", "16"]
    run = site.txtop(
        "run", "--models", *map(site.model, models), "--precisions", "bf16", "--attention",
        *kernels, "--warmup", "2", "--iterations", str(site.scale(5, 2)),
        "--fidelity-positions", "0", *weights(site), *lengths,
    )  # fmt: skip
    expected = len(models) * len(kernels)
    findings = checks.judge_attention(run.cells, run.done.err, expected)
    return [*findings, *table(run.done.out)]


def check_refusals(site: Site) -> list[Finding]:
    findings = []
    # A CPU's flash takes fp32 and masks, but cudnn is a GPU's alone.
    kernel = "sdpa:cudnn" if site.rehearsal else "sdpa:flash"
    for about, options in (
        (f"{kernel} in fp32", ["--precisions", "fp32"]),
        (f"{kernel} with a static cache", ["--precisions", "bf16", "--cache", "static"]),
    ):
        run = site.txtop(
            "run", "--models", site.model("gpt2"), "--attention", kernel, *options, "--warmup", "1",
            "--iterations", "2", "--fidelity-positions", "0", *weights(site), *short(site),
        )  # fmt: skip
        cells = run.export["cells"] if run.export else []
        loaded = any(e["kind"] == "load" for e in run.events)
        text = "\n".join(run.done.lines)
        findings += checks.judge_refusal(about, run.done.code, text, cells, loaded)
    return findings


def check_compiled(site: Site) -> list[Finding]:
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(site.work / "inductor")}

    def run(model: str, cache_kind: str, *modes: str) -> TxtopRun:
        return site.txtop(
            "run", "--models", site.model(model), "--precisions", "bf16", "--compile", *modes,
            "--cache", cache_kind, "--warmup", "3", "--iterations", str(site.scale(15, 2)),
            "--fidelity-positions", "0", *weights(site), *short(site),
            **cache, TORCH_LOGS="cudagraphs",
        )  # fmt: skip

    if site.rehearsal:
        plan = [("gpt2", "static", "none", "default")]
    else:
        plan = [
            ("gpt2", "static", "none", "default", "reduce-overhead"),
            ("bert-base-uncased", "dynamic", "none", "reduce-overhead"),
            ("gpt2", "dynamic", "default"),
        ]
    findings: list[Finding] = []
    cells: list[dict[str, Any]] = []
    for model, kind, *modes in plan:
        done = run(model, kind, *modes)
        cells += done.cells
        findings += checks.judge_compiled(done.cells, done.events, done.runner_log, len(modes))
        findings += table(done.done.out)
    warm = run("gpt2", "static", "default")
    seconds = [value_of(c, "load_compile_s") for c in (*cells, *warm.cells)]
    return [*findings, fact("compilation, the last with a warm cache", True, f"{seconds} s")]


def check_static_cache(site: Site) -> list[Finding]:
    long, less = ("40", "8") if site.rehearsal else ("900", "64")

    def run(*lengths: str) -> Callable[[], list[dict[str, Any]]]:
        return lambda: site.txtop(
            "run", "--models", site.model("gpt2"), "--precisions", "bf16", "--cache", "static",
            "--sequence-lengths", *lengths, "--new-tokens", str(site.scale(32, 8)), "--warmup", "3",
            "--iterations", str(site.scale(10, 2)), "--fidelity-positions", "0", *weights(site),
        ).cells  # fmt: skip

    sides = alternate({"mixed": run(long, less), "alone": run(less)})
    return checks.judge_static_cache(sides["mixed"], sides["alone"], int(less))


def check_int8(site: Site) -> list[Finding]:
    if not _has_library(site, "torchao"):
        return [fact("torchao", False, "not installed")]
    cells: list[dict[str, Any]] = []
    lines: list[Finding] = []
    for model, recipe in (("gpt2", "int8:weight-only"), ("bert-base-uncased", "int8:dynamic")):
        # Compiled for a batch of one alone: compilation takes most of this step's time.
        plans = [(["bf16", recipe], "none", ["1", "32"]), ([recipe], "default", ["1"])]
        for precisions, mode, batches in plans[: 1 if site.rehearsal else 2]:
            run = site.txtop(
                "run", "--models", site.model(model), "--precisions", *precisions, "--compile",
                mode, "--batch-sizes", *batches, "--warmup", "2",
                "--iterations", str(site.scale(8, 2)), "--fidelity-positions", "0",
                *weights(site), *short(site),
            )  # fmt: skip
            cells += cells_of(run)
            lines += table(run.done.out) or table(run.done.err)
    return [*checks.judge_int8(cells), *lines]


def _has_library(site: Site, name: str) -> bool:
    return site.run([sys.executable, "-c", f"import {name}"]).code == 0


def check_out_of_memory(site: Site) -> list[Finding]:
    run = site.txtop(
        "run", "--models", "Llama-3.2-1B", "--precisions", "fp32", "--sequence-lengths", "2048",
        "--new-tokens", "8", "--batch-sizes", "8192", "1", "--warmup", "1", "--iterations", "2",
        "--fidelity-positions", "0", *weights(site),
    )  # fmt: skip
    findings = checks.judge_out_of_memory(run.cells, run.events)
    return [*findings, *table("\n".join(run.done.lines[-12:]))]


def read_used_bytes(site: Site) -> int | None:
    """Return the memory in use on the first GPU, None without one."""
    text = nvidia_smi(site, "--query-gpu=memory.used", "--format=csv,noheader,nounits")
    try:
        return int(text.splitlines()[0]) << 20
    except (IndexError, ValueError):
        return None


def check_killed_worker(site: Site) -> list[Finding]:
    before = read_used_bytes(site)
    file = site.work / "killed.json"
    command = [sys.executable, "-m", "txtop", "run", "--headless", "--json", str(file)]
    command += ["--models", site.model("gpt2"), "--batch-sizes", "1", "2", "--warmup", "1"]
    name = f"killed-{uuid.uuid4().hex[:8]}"
    command += ["--iterations", "40", "--name", name]
    command += ["--precisions", "fp32", *weights(site), *short(site)]
    if not site.cuda:
        command += ["--device", "cpu"]
    environment = site.environment()
    with (site.work / "killed.log").open("w") as log:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
    folder = Path(environment["TXTOP_SESSION_DIR"]) / name

    def measures() -> bool:
        return any(e["kind"] == "iteration" for e in read_events(folder))

    try:
        wait_for(lambda: measures() or process.poll() is not None, site.left_s() / 2, 0.01)
        victim = find_worker(environment[MARK])
        if victim is not None:
            os.kill(victim, signal.SIGKILL)
        freed_s = _wait_until_free(site, before, victim)
        process.wait(max(1.0, site.left_s()))
    except subprocess.TimeoutExpired:
        lines = (site.work / "killed.log").read_text().splitlines()
        raise StepFailed("the run did not end after its worker", lines) from None
    finally:
        kill_marked(environment[MARK])
    cells = json.loads(file.read_text())["cells"] if file.is_file() else []
    return checks.judge_killed(cells, victim is not None, freed_s)


def _wait_until_free(site: Site, before: int | None, victim: int | None) -> float | None:
    """Return the seconds until the victim's memory was given back, None if it never was.

    The next cell's worker takes memory anew, so the least that is seen counts.
    """
    if before is None or victim is None:
        return None
    _, waited_s = wait_for(
        lambda: (read_used_bytes(site) or 0) <= before + FREE_SLACK_BYTES, 6.0, 0.02
    )
    return waited_s


def check_lost_device(site: Site) -> list[Finding]:
    folder = site.work / "lost"
    folder.mkdir(exist_ok=True)
    (folder / "lost.py").write_text(LOST_MODEL)
    config = {"model_type": "lost", "vocab_size": 96, "n_positions": 64, "n_embd": 16}
    config |= {"n_layer": 2, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}
    config["auto_map"] = {"AutoConfig": "lost.LostConfig", "AutoModelForCausalLM": "lost.LostModel"}
    config["architectures"] = ["LostModel"]
    (folder / "config.json").write_text(json.dumps(config))
    run = site.txtop(
        "run", "--models", str(folder), site.model("gpt2"), "--trust-remote-code", "--weights",
        "random", "--sequence-lengths", "8", "--new-tokens", "8", "--warmup", "2",
        "--iterations", "20", "--precisions", "fp32", "--fidelity-positions", "0",
    )  # fmt: skip
    return checks.judge_lost_device(run.cells, run.events)


def check_visible_devices(site: Site) -> list[Finding]:
    def run(visible: str) -> TxtopRun:
        return site.txtop(
            "run", "--models", site.model("gpt2"), "--warmup", "1", "--iterations", "2",
            *weights(site), *short(site), device=False, CUDA_VISIBLE_DEVICES=visible,
        )  # fmt: skip

    def texts(run: TxtopRun) -> str:
        notes = [n for c in cells_of(run) for n in (*c["notes"], c["reason"])]
        return "\n".join([*run.done.lines, *notes])

    hidden, wrong, by_uuid = run(""), run("9"), None
    if site.cuda:
        uuids = list(site.program("environment")["nvml"])
        if uuids:
            named = run(uuids[0])
            by_uuid = (named.done.code, cells_of(named))
    return checks.judge_visible(
        (hidden.done.code, cells_of(hidden), texts(hidden)),
        by_uuid,
        (wrong.done.code, cells_of(wrong), texts(wrong)),
    )


def cells_of(run: TxtopRun) -> list[dict[str, Any]]:
    """Return the cells of a run that may have been refused."""
    return run.export["cells"] if run.export else []


def check_two_contexts(site: Site) -> list[Finding]:
    run = site.txtop(
        "ab", site.model("gpt2"), "--a", "precision=bf16", "--b", "precision=bf16",
        "--fidelity-positions", "0", "--budget", str(site.scale(40, 10)), *weights(site),
        *(["--sequence-length", "8", "--new-tokens", "8"] if site.rehearsal else []),
    )  # fmt: skip
    if run.export is None:
        raise StepFailed(f"no export, exit code {run.done.code}", run.done.lines)
    return [*checks.judge_two_contexts(run.export, run.events), *table(run.done.out)]


STEPS = (
    Step("2.1 attention", 170, check_attention),
    Step("2.1b refused before loading", 40, check_refusals),
    Step("2.2 compiled, graphs", 230, check_compiled),
    Step("2.5a out of memory", 90, check_out_of_memory, rehearsed=False),
    Step("2.5b a worker is killed", 50, check_killed_worker),
    Step("2.5c a device is lost", 50, check_lost_device),
    Step("2.6 two contexts", 90, check_two_contexts),
    Step("2.4 int8", 160, check_int8),
)
# Without room in call 2; they compare within themselves alone.
MOVED_STEPS = (
    Step("2.3 static caches", 80, check_static_cache),
    Step("2.5d CUDA_VISIBLE_DEVICES", 60, check_visible_devices),
)
