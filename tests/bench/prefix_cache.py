"""Compare what a prefix cache saves of TTFT, by txtop and by a script of its own.

`python tests/bench/prefix_cache.py MODEL [ROUNDS]` takes a decoder with a tokenizer. Prompts share
500 tokens; one client asks. A round is a run of each, without and with sharing one right after
the other, and the next round takes them in the other order. The machine may be faster in one minute
than in the next, so what counts is the median, over the rounds, of how far the falls are apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

SHARED_TOKENS = 500
REQUESTS, WARM = 6, 1
NEW_TOKENS = 4
PAGE = 256


def write_prompts(model: str, path: Path) -> None:
    """Write prompts that have the same 500 tokens before an end of their own."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    names = ["river", "stone", "cloud", "paper", "green", "light", "winter", "garden"]
    prefix = ""
    for i in range(10_000):
        longer = f"{prefix}{names[(i * i + i // 7) % len(names)]} "
        if len(tokenizer(longer, add_special_tokens=False)["input_ids"]) > SHARED_TOKENS:
            break
        prefix = longer
    with path.open("w", encoding="utf-8") as file:
        for i in range(REQUESTS + WARM):
            line = {"text": f"Question {i}: name {i + 2} things.", "prefix": prefix}
            file.write(json.dumps(line | {"max_new_tokens": NEW_TOKENS}) + "\n")


def measure_plain(model: str, path: Path, shares: bool) -> list[float]:
    """Return TTFT in ms of one request after the other, without txtop."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
    from transformers.generation import ContinuousBatchingConfig

    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(model)
    network: Any = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32).eval()
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": line["prefix"] + line["text"]}],
            tokenize=False,
            add_generation_prompt=True,
        )
        for line in lines
    ]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    blocks = 8 * -(-(max(map(len, ids)) + NEW_TOKENS) // PAGE)
    manager = network.init_continuous_batching(
        generation_config=GenerationConfig(do_sample=False, eos_token_id=-1),
        continuous_batching_config=ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=(2 * blocks if shares else blocks) + 1,
            max_batch_tokens=512,
            max_requests_per_batch=8,
            allow_block_sharing=shares,
            auto_switch_to_flash=False,
            use_async_batching=False,
            use_cuda_graph=False,
        ),
    )
    manager.start()
    taken_ms = []
    for prompt in [*ids[-WARM:], *ids[:REQUESTS]]:
        asked_s = perf_counter()
        manager.add_request(prompt, max_new_tokens=NEW_TOKENS, record_timestamps=True)
        output = None
        while output is None:
            output = manager.get_result(timeout=1.0)
        taken_ms.append((output.timestamps[0] - asked_s) * 1000)
    manager.stop(block=True)
    return taken_ms[WARM:]


def run_plain(model: str, path: Path) -> dict[str, list[float]]:
    """Return what `measure_plain` gives without and with sharing, in a process of its own each."""
    times = {}
    for kept, shares in (("off", "0"), ("on", "1")):
        command = [sys.executable, __file__, model, "plain", str(path), shares]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        times[kept] = json.loads(out.splitlines()[-1])
    return times


def run_txtop(model: str, path: Path, folder: Path) -> dict[str, list[float]]:
    """Return TTFT in ms of each request by `--prefix-cache`, and check how much was cached."""
    command = [sys.executable, "-m", "txtop", "run", "--models", model, "--prompts", str(path)]
    command += ["--scenario", "continuous", "--concurrency", "1", "--requests", str(REQUESTS)]
    command += ["--warmup", str(WARM), "--prefix-cache", "off", "on", "--budget", "300"]
    command += ["--threads", "1", "--fidelity-positions", "0", "--profile", "none"]
    command += ["--session-dir", str(folder), "--headless"]
    subprocess.run(command, capture_output=True, text=True, check=True)
    newest = max(folder.iterdir(), key=lambda session: session.stat().st_mtime)
    times: dict[str, list[float]] = {"off": [], "on": []}
    for line in (newest / "events.jsonl").read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        if event["kind"] == "request" and event["role"] == "measured":
            kept = "on" if event["cell"] == "c002" else "off"
            cached = event.get("cached", 0)
            # What the template puts before counts as shared, too.
            assert cached % PAGE == 0 and bool(cached) == (kept == "on"), event
            times[kept].append((event["first_ns"] - event["arrival_ns"]) / 1e6)
    return times


def main(model: str, rounds: int) -> None:
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shared.jsonl"
        write_prompts(model, path)
        programs = {
            "script": lambda: run_plain(model, path),
            "txtop": lambda: run_txtop(model, path, Path(folder) / "sessions"),
        }
        for number in range(1, rounds + 1):
            falls = {}
            for name in sorted(programs, reverse=number % 2 == 0):
                times = programs[name]()
                off, on = median(times["off"]), median(times["on"])
                falls[name] = off - on
                print(
                    f"{number} {name:<7} TTFT {off:8.1f} ms without, {on:8.1f} ms with:"
                    f" falls by {off - on:8.1f} ms, {1 - on / off:.1%}",
                    flush=True,
                )
            ratios.append(falls["txtop"] / falls["script"] - 1)
    apart = median(ratios)
    print(
        f"the falls are {apart:+.1%} apart ({min(ratios):+.1%} to {max(ratios):+.1%}):"
        f" {'PASS' if abs(apart) <= 0.05 else 'FAIL'}"
    )


if __name__ == "__main__":
    if sys.argv[2:3] == ["plain"]:
        print(json.dumps(measure_plain(sys.argv[1], Path(sys.argv[3]), sys.argv[4] == "1")))
    elif len(sys.argv) < 2:
        print("name a decoder that has a tokenizer")
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 4)
