"""The bare loop that the self-test compares txtop with: `python -m txtop.worker.baseline CONFIG`.

It calls generate() with a clock in the streamer and shares no code with txtop. After every call it
prints the time at which each token was on the host, in ns of `perf_counter_ns`:
`{"at_ns": [1, 2, 3]}`. It runs until its output is closed.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any, TextIO


class TimestampStreamer:
    """A streamer that records when each token is on the host; the first `put` is the prompt."""

    def __init__(self) -> None:
        self.at_ns: list[int] = []

    def put(self, _tokens: Any) -> None:
        self.at_ns.append(perf_counter_ns())

    def end(self) -> None:
        """Do nothing: generate() calls this after the last token."""


def main(output: TextIO = sys.stdout) -> None:
    """Generate until `output` is closed."""
    parser = argparse.ArgumentParser(prog="python -m txtop.worker.baseline", description=__doc__)
    parser.add_argument("config", type=Path, help="a GPT-2's config.json")
    parser.add_argument("--sequence-length", type=int, required=True, metavar="TOKENS")
    parser.add_argument("--new-tokens", type=int, required=True, metavar="TOKENS")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", default="none", help="a mode of torch.compile: static cache")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"

    import torch
    from transformers import CompileConfig, GenerationConfig, GPT2Config, GPT2LMHeadModel

    if options.device != "cpu" and not torch.accelerator.is_available():
        raise SystemExit(f"no {options.device} device: torch finds none")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    config = GPT2Config(**json.loads(options.config.read_text(encoding="utf-8")))
    config._attn_implementation = "sdpa"
    model: Any = GPT2LMHeadModel(config).eval().to(options.device)
    ids = torch.randint(config.vocab_size, (1, options.sequence_length)).to(options.device)
    mask = torch.ones_like(ids)
    model.generation_config = GenerationConfig()
    compiles = options.compile != "none"
    greedy: Any = GenerationConfig(
        max_new_tokens=options.new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=None,
        disable_compile=not compiles,
    )
    if compiles:
        greedy.cache_implementation = "static"
        greedy.compile_config = CompileConfig(mode=options.compile, dynamic=False)
        # Private: without it generate() compiles on accelerators only.
        greedy.compile_config._compile_all_devices = True

    def call() -> list[int]:
        stamps = TimestampStreamer()
        with torch.inference_mode():
            model.generate(
                inputs=ids, attention_mask=mask, generation_config=greedy, streamer=stamps
            )
        return stamps.at_ns[1:]

    # A graph is captured in the third call.
    for _ in range(3 if compiles else 1):
        call()
    gc.collect()
    # A full collection over torch and transformers takes 190 ms: one would decide a whole pair.
    gc.freeze()
    try:
        while True:
            print(json.dumps({"at_ns": call()}), file=output, flush=True)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
