"""The parts of the acceptance run that need torch or NVML, each in a process of its own.

`python programs.py NAME ARGUMENTS` prints one line: `RESULT` and JSON. What is not txtop's own part
imports nothing of txtop, so that it can be held against it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from time import perf_counter_ns
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

VARIABLES = (
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_LAUNCH_BLOCKING",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTORCH_ALLOC_CONF",
    "TORCH_CUDNN_SDPA_DEPRIORITIZED",
    "TORCHINDUCTOR_CACHE_DIR",
    "TORCHINDUCTOR_COORDINATE_DESCENT_TUNING",
)
READINGS = 200
POWER_INSTANT = 186
WAIT_S = 150.0


def environment(_: argparse.Namespace) -> dict[str, Any]:
    """Return the versions, the flags that bend numbers, and the GPUs of torch and of NVML."""
    import torch
    import transformers

    cuda = torch.cuda.is_available()
    result: dict[str, Any] = {
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "available": cuda,
        "arch_list": torch.cuda.get_arch_list() if cuda else [],
        "matmul_precision": torch.get_float32_matmul_precision(),
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_cudnn": torch.backends.cudnn.allow_tf32,
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "devices": [],
        "nvml": {},
    }
    for index in range(torch.cuda.device_count() if cuda else 0):
        properties = torch.cuda.get_device_properties(index)
        result["devices"].append(
            {
                "name": properties.name,
                "uuid": str(getattr(properties, "uuid", "")),
                "capability": list(torch.cuda.get_device_capability(index)),
                "memory_bytes": properties.total_memory,
                "l2_bytes": getattr(properties, "L2_cache_size", None),
            }
        )
    try:
        result["nvml"] = _nvml_uuids()
    except Exception as error:
        result["nvml_error"] = f"{type(error).__name__}: {error}"
    return result


def _nvml_uuids() -> dict[str, str]:
    import pynvml

    pynvml.nvmlInit()
    handles = map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))
    return {_text(pynvml.nvmlDeviceGetUUID(h)): _text(pynvml.nvmlDeviceGetName(h)) for h in handles}


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def nvml(options: argparse.Namespace) -> dict[str, Any]:
    """Return what each reader costs, the steps of the energy counter, and how fast power rises."""
    import pynvml

    from txtop.sampler.nvidia_fields import FAST_FIELDS, PCIE_FIELDS, SLOW_FIELDS, PowerReader

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByIndex(0)
    result: dict[str, Any] = {"readers": {}, "unsupported": {}}
    every_sample = {PowerReader(): ("power_w",), **FAST_FIELDS}
    for speed, fields in (("fast", every_sample), ("slow", {**SLOW_FIELDS, **PCIE_FIELDS})):
        for reader, names in fields.items():
            try:
                cost = _time_reader(lambda reader=reader: reader(pynvml, handle), options.readings)
            except Exception as error:
                result["unsupported"][names[0]] = f"{type(error).__name__}: {error}"
                continue
            result["readers"][names[0]] = {"speed": speed, **cost}
    result["energy_steps_ms"] = _poll_energy(pynvml, handle, options.seconds)
    result["rise"] = _watch_power(pynvml, handle, options.seconds)
    return result


def _time_reader(read: Callable[[], Any], readings: int) -> dict[str, float]:
    read()
    cpu_s, spans = time.process_time(), []
    for _ in range(readings):
        start_ns = perf_counter_ns()
        read()
        spans.append((perf_counter_ns() - start_ns) / 1e6)
    spans.sort()
    return {
        "median_ms": spans[len(spans) // 2],
        "p99_ms": spans[min(len(spans) - 1, int(0.99 * len(spans)))],
        "cpu_ms": (time.process_time() - cpu_s) * 1e3 / readings,
    }


def _poll_energy(library: Any, handle: Any, seconds: float) -> list[float]:
    """Return the ms between two changes of the energy counter, read a thousand times a second."""
    steps, last, changed_ns = [], None, None
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            now = library.nvmlDeviceGetTotalEnergyConsumption(handle)
        except library.NVMLError:
            return []
        at_ns = perf_counter_ns()
        if last is not None and now != last:
            if changed_ns is not None:
                steps.append((at_ns - changed_ns) / 1e6)
            changed_ns = at_ns
        last = now
        time.sleep(0.001)
    return steps


def _watch_power(library: Any, handle: Any, seconds: float) -> dict[str, Any]:
    """Return how long each reading of power takes to 90 % of its final value under a load."""
    import torch

    if not torch.cuda.is_available():
        return {}
    readers = {"usage": lambda: library.nvmlDeviceGetPowerUsage(handle) / 1000}
    readers["instant"] = lambda: _instant_w(library, handle)
    size = 8192
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    _ = a @ a
    torch.cuda.synchronize()
    time.sleep(2)
    idle = {name: read() for name, read in readers.items()}
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            for _ in range(10):
                torch.mm(a, a)
            torch.cuda.synchronize()

    thread = threading.Thread(target=load, daemon=True)
    start_s = time.monotonic()
    thread.start()
    seen: dict[str, list[tuple[float, float | None]]] = {name: [] for name in readers}
    while (now_s := time.monotonic() - start_s) < seconds:
        for name, read in readers.items():
            seen[name].append((now_s, read()))
        time.sleep(0.01)
    stop.set()
    thread.join(10)
    result: dict[str, Any] = {}
    for name, readings in seen.items():
        recorded = [(at, watts) for at, watts in readings if watts is not None]
        before = idle[name]
        if not recorded or before is None:
            result[name] = None
            continue
        final = recorded[-1][1] or 0.0
        aim = before + 0.9 * (final - before)
        rise_s = next((at for at, watts in recorded if watts and watts >= aim), None)
        result[name] = {"idle_w": before, "load_w": final, "rise_s": rise_s}
    return result


def _instant_w(library: Any, handle: Any) -> float | None:
    try:
        (field,) = library.nvmlDeviceGetFieldValues(handle, [POWER_INSTANT])
    except (library.NVMLError, AttributeError, ValueError):
        return None
    return field.value.uiVal / 1000 if field.nvmlReturn == 0 else None


def generate(options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of bare generate() calls, after a profiled one of `--profile` activities."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig
    from transformers.generation.streamers import BaseStreamer

    torch.manual_seed(0)
    device = torch.device(options.device)
    if Path(options.model).is_dir():
        config = AutoConfig.from_pretrained(options.model)
    else:
        from txtop.models.builtin import find_builtin

        builtin = find_builtin(options.model)
        assert builtin is not None
        config = AutoConfig.for_model(builtin.model_type, **builtin.config)
    with device:
        model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    model = model.to(torch.bfloat16).eval()
    prompt = torch.randint(0, config.vocab_size, (1, options.length), device=device)
    settings = GenerationConfig(
        max_new_tokens=options.tokens, do_sample=False, use_cache=True, disable_compile=True
    )
    model.generation_config = GenerationConfig()

    class Stamps(BaseStreamer):
        """The times of tokens; the prompt comes first."""

        def __init__(self) -> None:
            self.at_ns: list[int] = []

        def put(self, value: Any) -> None:
            self.at_ns.append(perf_counter_ns())

        def end(self) -> None:
            pass

    def call(config: Any = settings) -> tuple[float, list[float]]:
        stamps = Stamps() if options.streamer else None
        start_ns = perf_counter_ns()
        with torch.inference_mode():
            model.generate(
                inputs=prompt,
                attention_mask=torch.ones_like(prompt),
                generation_config=config,
                streamer=stamps,
            )
        if device.type == "cuda":
            torch.cuda.synchronize()
        took_ms = (perf_counter_ns() - start_ns) / 1e6
        at = stamps.at_ns[1:] if stamps else []
        gaps = [(b - a) / 1e6 for a, b in pairwise(at)]
        return took_ms, gaps

    call()
    if options.profile != "none":
        activities = [torch.profiler.ProfilerActivity.CPU]
        if options.profile == "cuda" and device.type == "cuda":
            activities.append(torch.profiler.ProfilerActivity.CUDA)
        short = GenerationConfig(
            max_new_tokens=2, do_sample=False, use_cache=True, disable_compile=True
        )
        with torch.profiler.profile(activities=activities) as profile:
            call(short)
        profile.events()
    for _ in range(3):
        call()
    calls = [call() for _ in range(options.iterations)]
    return {"e2e_ms": [c[0] for c in calls], "gaps_ms": [gap for c in calls for gap in c[1]]}


def worker(options: argparse.Namespace) -> dict[str, Any]:
    """Return the times of txtop's worker at the same work, with or without a sampler beside it."""
    from support.worker_process import WorkerProcess, of
    from txtop.plan.cell import Cell
    from txtop.plan.plan import Allowed
    from txtop.protocol import commands, events

    cell = Cell(
        id="c", model=options.model, precision="bf16", weights="random", device=options.device,
        sequence_length=options.length, new_tokens=options.tokens,
    )  # fmt: skip
    process = WorkerProcess()
    sampler = _start_sampler() if options.sampler else None
    try:
        process.send(
            commands.LoadModel(cell=cell, started_ns=process.started_ns, seed=0, allowed=Allowed())
        )
        device = process.until(events.ModelLoaded, WAIT_S).device_id
        if sampler is not None and device:
            # Of several GPUs only the one in use is read at the full rate.
            assert sampler.stdin is not None
            sampler.stdin.write(f"use {device}\n".encode())
            sampler.stdin.flush()
        process.send(
            commands.Prepare(cell=cell),
            commands.Inspect(cell=cell.id),
            commands.Iterate(cell=cell.id, role="first", index=0),
            commands.Iterate(cell=cell.id, role="warmup", index=1, count=3),
            commands.Iterate(cell=cell.id, role="measured", index=4, count=options.iterations),
            commands.Finish(cell=cell.id),
        )
        process.until(events.Memory, WAIT_S)
    finally:
        process.close()
        if sampler is not None:
            sampler.kill()
    iterations = [i for i in of(events.Iteration, process.seen) if i.role == "measured"]
    steps = [s for s in of(events.TokenTimings, process.seen) if s.index >= 4]
    # The first gap of an iteration is its TTFT.
    gaps = [gap / 1e6 for s in steps for k, gap in enumerate(s.gaps_ns, s.first) if k > 0]
    return {"e2e_ms": [i.e2e_ns / 1e6 for i in iterations], "gaps_ms": gaps}


def _start_sampler() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "txtop.sampler", "--interval", "0.2"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    threading.Thread(target=process.stdout.read, daemon=True).start()
    return process


PROGRAMS = {"environment": environment, "nvml": nvml, "generate": generate, "worker": worker}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=PROGRAMS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--length", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--iterations", type=int, default=16)
    parser.add_argument("--profile", choices=("none", "cpu", "cuda"), default="none")
    parser.add_argument("--streamer", action="store_true")
    parser.add_argument("--sampler", action="store_true")
    parser.add_argument("--readings", type=int, default=READINGS)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    print("RESULT " + json.dumps(PROGRAMS[options.name](options)), flush=True)


if __name__ == "__main__":
    main()
