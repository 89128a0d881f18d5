"""Search what fits for six architectures, and compare the forecasts with the peaks.

Small configurations with random weights, in a memory that is held by `--memory` or by a limit of
the address space. The forecast of a search is the one before anything of it ran.
`fit_table.py [NAME ...]`; exits 1 if a search takes over eight probes, does not find both sides of
its edge, or a first forecast is off by over 10 %.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from txtop.analysis.edge import find_edges
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

MIB = 1 << 20
MEMORY, ADDRESS_SPACE = 640 * MIB, 1200 * MIB
MOST_PROBES, MOST_AWAY = 8, 0.10
DECODER = {
    "vocab_size": 8192, "hidden_size": 256, "intermediate_size": 768, "num_hidden_layers": 4,
    "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 32768,
    "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 0, "head_dim": 32,
}  # fmt: skip
CONFIGS = {
    "GPT-2": {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 8192,
        "n_positions": 4096, "n_embd": 256, "n_layer": 4, "n_head": 4, "bos_token_id": 0,
        "eos_token_id": 0,
    },
    "BERT": {
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": 8192,
        "max_position_embeddings": 4096, "hidden_size": 256, "num_hidden_layers": 4,
        "num_attention_heads": 4, "intermediate_size": 1024,
    },
    "T5": {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
        "is_encoder_decoder": True, "vocab_size": 8192, "d_model": 256, "d_kv": 64, "d_ff": 1024,
        "num_heads": 4, "num_layers": 3, "num_decoder_layers": 3, "decoder_start_token_id": 0,
        "pad_token_id": 0, "eos_token_id": 1,
    },
    "GQA-Llama": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **DECODER},
    "window-Mistral": {
        "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 128,
        **DECODER,
    },
    "MoE-Mixtral": {
        "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_local_experts": 4,
        "num_experts_per_tok": 2, **DECODER,
    },
}  # fmt: skip
BATCH = ("--sequence-length", "256")
LENGTH = ("--largest", "sequence-length", "--batch-size", "2")
# What grows, and whether a limit of the address space holds the search.
CASES = {
    "GPT-2": (BATCH, True),
    "BERT": (BATCH, False),
    "T5": (BATCH, True),
    "GQA-Llama": (LENGTH, True),
    "window-Mistral": (LENGTH, False),
    "MoE-Mixtral": (BATCH, False),
}


def search(folder: Path, name: str) -> tuple[str, bool]:
    """Run one search. Return its row, and whether it is as it has to be."""
    options, by_address_space = CASES[name]
    (folder / name).mkdir()
    (folder / name / "config.json").write_text(json.dumps(CONFIGS[name]), encoding="utf-8")
    command = [
        sys.executable, "-m", "txtop", "fit", str(folder / name), "--weights", "random",
        "--iterations", "1", "--headless", "--session-dir", str(folder / "s"), "--name", name,
        *options,
    ]  # fmt: skip
    command += [] if name == "BERT" else ["--new-tokens", "4"]
    command += [] if by_address_space else ["--memory", f"{MEMORY // MIB}MiB"]
    limit = partial(resource.setrlimit, resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=limit if by_address_space else None
    )
    state = fold_all(read_all(folder / "s" / name)[0])
    (edge,) = find_edges(state)
    if edge.largest is None or edge.smallest is None:
        return f"| {name} | exit {done.returncode} {done.stderr.splitlines()[-1:]} |", False
    ran = [own for own in state.cells.values() if own.peak_bytes and own.status == "ok"]
    forecast, peak = state.probes[ran[0].cell.id].forecast_bytes or 0, ran[0].peak_bytes or 1
    away = forecast / peak - 1
    held = "RLIMIT_AS" if by_address_space else "--memory"
    show = edge.axis.format_value
    row = (
        f"| {name} | {held} | {show(edge.largest.cell)} | {show(edge.smallest.cell)} |"
        f" {len(edge.probes)} | {show(ran[0].cell)} | {forecast / MIB:,.0f} |"
        f" {peak / MIB:,.0f} | {away:+.1%} |"
    )
    return row, edge.is_found and len(edge.probes) <= MOST_PROBES and abs(away) <= MOST_AWAY


def main() -> int:
    print("| model | held by | ran | did not | probes | first that ran | forecast MiB | peak | |")
    print("|---|---|---|---|---|---|---|---|---|")
    rc = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or CASES:
            row, is_right = search(Path(folder), name)
            print(row if is_right else f"{row} WRONG", flush=True)
            rc |= not is_right
    return rc


if __name__ == "__main__":
    sys.exit(main())
