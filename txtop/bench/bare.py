"""`python -m txtop.bench.bare CONFIG`: what txtop is compared with. It shares no code with it.

A plain loop of generate() with a clock in its streamer. It loads once, prints `{}`, then does as
many iterations as each line of standard input says, `{"iterations": 3}`, and prints the gaps
between their tokens in ns, `{"gaps_ns": [[…], …]}`: one list an iteration, the first token's
time (TTFT) not among them. The end of standard input ends it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from pathlib import Path
from time import perf_counter_ns
from typing import Any


class Stamps:
    """A streamer that notes when each token is on the host; the first put is the prompt."""

    def __init__(self) -> None:
        self.at_ns: list[int] = []

    def put(self, _tokens: Any) -> None:
        self.at_ns.append(perf_counter_ns())

    def end(self) -> None:
        """generate() is through."""

    def gaps_ns(self) -> list[int]:
        """Times between tokens in ns: without prompt and first token."""
        tokens = self.at_ns[1:]
        return [b - a for a, b in zip(tokens, tokens[1:], strict=False)]


def main() -> int:
    """Exit code 0 at the end of standard input."""
    parser = argparse.ArgumentParser(prog="python -m txtop.bench.bare", description=__doc__)
    parser.add_argument("config", type=Path, help="a GPT-2's config.json")
    parser.add_argument("--sequence-length", type=int, required=True, metavar="TOKENS")
    parser.add_argument("--new-tokens", type=int, required=True, metavar="TOKENS")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(asked.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"

    import torch
    from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    config = GPT2Config(**json.loads(asked.config.read_text(encoding="utf-8")))
    config._attn_implementation = "sdpa"
    model: Any = GPT2LMHeadModel(config).eval()
    ids = torch.randint(config.vocab_size, (1, asked.sequence_length))
    mask = torch.ones_like(ids)
    model.generation_config = GenerationConfig()
    greedy = GenerationConfig(
        max_new_tokens=asked.new_tokens,
        do_sample=False,
        num_beams=1,
        use_cache=True,
        eos_token_id=None,
        disable_compile=True,
    )

    def iteration() -> list[int]:
        stamps = Stamps()
        with torch.inference_mode():
            model.generate(
                inputs=ids, attention_mask=mask, generation_config=greedy, streamer=stamps
            )
        return stamps.gaps_ns()

    iteration()
    gc.collect()
    # A full collection over torch and transformers takes 190 ms: one would decide a whole block.
    gc.freeze()
    print("{}", flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)["iterations"]
        print(json.dumps({"gaps_ns": [iteration() for _ in range(wanted)]}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
