"""The memory of a pass in closed form, against what torch holds in real passes of tiny models."""

from __future__ import annotations

import json
import subprocess

import pytest

from support import warm_workers
from txtop.models.dimensions import read_dimensions
from txtop.models.model_config import find_config
from txtop.models.pass_memory import PassShape, count_cache_bytes, count_pass_bytes
from txtop.models.purpose import detect_family

DECODER = {
    "vocab_size": 512, "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 3,
    "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 4096,
    "head_dim": 8, "tie_word_embeddings": False, "bos_token_id": 0, "eos_token_id": 0,
}  # fmt: skip
CONFIGS = {
    "gpt2": {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 512,
        "n_positions": 1024, "n_embd": 64, "n_layer": 3, "n_head": 4,
        "bos_token_id": 0, "eos_token_id": 0,
    },
    "bert": {
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": 512,
        "max_position_embeddings": 1024, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 256,
    },
    "masked": {
        "model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 2048,
        "max_position_embeddings": 1024, "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 256,
    },
    "t5": {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 512,
        "is_encoder_decoder": True, "d_model": 64, "d_kv": 16, "d_ff": 256, "num_heads": 4,
        "num_layers": 2, "num_decoder_layers": 2, "decoder_start_token_id": 0,
        "pad_token_id": 0, "eos_token_id": 1,
    },
    "llama": {"model_type": "llama", "architectures": ["LlamaForCausalLM"], **DECODER},
    "mistral": {
        "model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 64,
        **DECODER,
    },
    "mixtral": {
        "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_local_experts": 4,
        "num_experts_per_tok": 2, **DECODER,
    },
    "qwen3_moe": {
        "model_type": "qwen3_moe", "architectures": ["Qwen3MoeForCausalLM"], "num_experts": 8,
        "num_experts_per_tok": 2, "moe_intermediate_size": 64, **DECODER,
    },
}  # fmt: skip
# Model, attention, precision, batch, prompt, new tokens.
CASES = [
    *((name, "sdpa", "fp32", 8, 96, 4) for name in CONFIGS),
    *((name, "eager", "fp32", 4, 192, 4) for name in ("gpt2", "bert", "llama", "mixtral")),
    ("gpt2", "sdpa", "fp32", 2, 16, 300),
    ("llama", "sdpa", "fp32", 4, 8, 200),
    ("llama", "sdpa", "bf16", 8, 96, 4),
    ("gpt2", "eager", "bf16", 4, 192, 4),
    ("t5", "sdpa", "fp32", 8, 8, 200),
    ("t5", "sdpa", "fp32", 1, 500, 4),
    ("mistral", "sdpa", "fp32", 2, 256, 4),
]
SCRIPT = """
import json, sys, time, weakref
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from txtop.plan.cell import Cell
from txtop.protocol import commands
from txtop.worker.loading.load import load_model
from txtop.worker.loading.phase_timer import PhaseTimer
from txtop.worker.tasks.task import make_inputs

class Held(TorchDispatchMode):
    # The bytes of all storages that operators made and that are still referenced.
    def __init__(self, weights):
        super().__init__()
        self.now = self.peak = 0
        self.sizes = {p.untyped_storage()._cdata: 0 for p in weights}

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        out = operator(*args, **(kwargs or {}))
        for value in torch.utils._pytree.tree_leaves(out):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self.sizes:
                    self.sizes[storage._cdata] = storage.nbytes()
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self.release, storage._cdata)
        return out

    def release(self, key):
        self.now -= self.sizes.pop(key, 0)

held = []
for model, attention, precision, batch, prompt, new in json.loads(sys.argv[1]):
    cell = Cell(id="c", model=model, attention=attention, precision=precision, weights="random",
                device="cpu", batch_size=batch, sequence_length=prompt, new_tokens=new)
    command = commands.LoadModel(cell=cell, started_ns=time.perf_counter_ns(), seed=0)
    loaded = load_model(command, PhaseTimer(command.started_ns, lambda _: None), "w", lambda _: 0)
    loaded.task.begin_cell()
    inputs = make_inputs(cell, loaded.vocabulary, 0, loaded.device, loaded.end_token)
    watch = Held(loaded.model.parameters())
    with watch:
        loaded.task.iterate(inputs, False, None, lambda: None)
    held.append(watch.peak)
print(json.dumps(held))
"""


@pytest.fixture(scope="module")
def held_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[object, ...], int]:
    """Return what torch held at the peak of each case."""
    folder = tmp_path_factory.mktemp("models")
    for name, config in CONFIGS.items():
        (folder / name).mkdir()
        (folder / name / "config.json").write_text(json.dumps(config))
    script = folder / "held.py"
    script.write_text(SCRIPT)
    cases = [(str(folder / name), *rest) for name, *rest in CASES]
    command = [*warm_workers.build_warm_command(script), json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(zip(CASES, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_the_closed_form_is_what_torch_holds(
    case: tuple[str, str, str, int, int, int], held_bytes: dict[tuple[object, ...], int]
) -> None:
    name, attention, precision, batch, prompt, new = case
    config = CONFIGS[name]
    size = read_dimensions(config, detect_family(config, None))
    assert size is not None
    shape = PassShape(
        batch=batch, prompt=prompt, new=new, value_bytes=4 if precision == "fp32" else 2,
        eager=attention == "eager",
    )  # fmt: skip
    assert count_pass_bytes(size, shape) == pytest.approx(held_bytes[case], rel=0.1)


def test_the_cache_is_keys_and_values_of_each_position_and_layer() -> None:
    def count(model: str, **more: int) -> int:
        config = find_config(model)
        assert config is not None
        size = read_dimensions(config, detect_family(config, None))
        assert size is not None
        return count_cache_bytes(size, PassShape(**{"value_bytes": 4, **more}))

    assert count("gpt2", batch=4, prompt=100, new=28) == 4 * 2 * 12 * 768 * 4 * 128
    # Grouped queries: 30 layers, 3 heads of 64.
    assert count("SmolLM2-135M", batch=1, prompt=96, new=32, value_bytes=2) == (
        2 * 2 * 30 * 3 * 64 * 128
    )
    # The decoder's cache of its own tokens and of the prompt, for the attention to it.
    assert count("t5-small", batch=1, prompt=16, new=8) == 4 * 2 * 6 * 512 * 24
    assert count("bert-base-uncased", batch=8, prompt=128, new=1) == 0
