"""Facts about models that need no torch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from support import tiny_models
from support.warm_workers import build_warm_command
from txtop.forecast.memory import forecast_memory
from txtop.models import builtin, model_config, model_size
from txtop.plan.cell import Cell

NAMES = [model.name for model in builtin.BUILTIN_MODELS]


def cell(model: str, **knobs: object) -> Cell:
    return msgspec.convert({"id": "c1", "model": model, **knobs}, Cell)


def test_a_builtin_is_found_by_its_bare_name_and_by_its_hub_id() -> None:
    for name, hub_id in (
        ("SmolLM2-135M", "HuggingFaceTB/SmolLM2-135M"),
        ("Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        ("Llama-3.2-1B", "meta-llama/Llama-3.2-1B"),
        ("bert_uncased_L-4_H-512_A-8", "google/bert_uncased_L-4_H-512_A-8"),
        ("gpt2", "openai-community/gpt2"),
        ("t5-small", "google-t5/t5-small"),
    ):
        model = builtin.find_builtin(name)
        assert model is not None and model.hub_id == hub_id
        assert builtin.find_builtin(hub_id) is model
    assert builtin.find_builtin("gpt3") is None
    assert len(NAMES) == 12


@pytest.mark.parametrize(
    ("model", "family", "context"),
    [
        ("gpt2", "causal", 1024),
        ("bert-large-uncased", "encoder", 512),
        ("t5-base", "seq2seq", None),
        ("SmolLM2-135M", "causal", 8192),
        ("Qwen3-0.6B", "causal", 40960),
        ("Llama-3.2-1B", "causal", 131072),
        ("no-such-model", None, None),
    ],
)
def test_family_and_context(model: str, family: str | None, context: int | None) -> None:
    assert model_config.find_family(model) == family
    assert model_config.find_context_length(model) == context


def test_the_family_spelled_by_a_configuration_is_the_tables() -> None:
    for model in builtin.BUILTIN_MODELS:
        assert model_config.find_family(model.name) == model.family


def test_a_local_directory_is_known_by_its_config(tmp_path: Path) -> None:
    directory = str(tiny_models.gpt2(tmp_path / "gpt2"))
    assert model_config.find_family(directory) == "causal"
    assert model_config.find_context_length(directory) == tiny_models.POSITIONS
    assert model_size.find_parameter_count(directory) == 9152
    assert (
        model_config.find_context_length(str(tiny_models.t5(tmp_path / "t5", weights=False)))
        is None
    )
    assert model_size.find_parameter_count(str(tmp_path / "t5")) is None


@pytest.mark.parametrize("weights", [True, False])
def test_a_hub_name_in_the_cache_is_known_by_its_snapshot(
    weights: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load takes the commit of its main branch."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    name = f"acme/tiny-{weights}"
    asked, repository = cell(name, sequence_length=80), tmp_path / f"models--acme--tiny-{weights}"
    assert model_config.find_config(name) is None and forecast_memory(asked) is None
    tiny_models.t5(repository / "snapshots" / "0ld")
    tiny_models.gpt2(repository / "snapshots" / "abc", weights=weights)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert model_config.find_family(name) == "causal"
    assert model_config.find_context_length(name) == tiny_models.POSITIONS
    refusal = model_config.explain_refusal(asked)
    assert refusal is not None and "longer than the context" in refusal[0]
    assert model_size.find_parameter_count(name) == (9152 if weights else None)
    directory = msgspec.structs.replace(asked, model=str(repository / "snapshots" / "abc"))
    assert forecast_memory(asked) == forecast_memory(directory) != None  # noqa: E711
    (repository / "refs" / "main").write_text("../../../abc")
    assert model_config.find_config(name) is None


@pytest.mark.parametrize(
    "junk",
    ["", "[]", "{", "[" * 100_000, "\x00", '{"n_positions": "x"}', '{"model_type": []}'],
    ids=["empty", "list", "torn", "deep", "nul", "wrong type", "no name"],
)
def test_a_broken_config_is_unknown_and_no_error(tmp_path: Path, junk: str) -> None:
    (tmp_path / "config.json").write_text(junk)
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 20)
    broken = cell(str(tmp_path))
    assert model_config.find_context_length(str(tmp_path)) is None
    assert model_config.explain_refusal(broken) is None
    assert forecast_memory(broken) is None


def test_paths_that_cannot_be_are_unknown() -> None:
    for name in ("\0", "x" * 5000, "~nobody-of-that-name/x", "/"):
        assert model_config.find_local_path(name) is None


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    ("model", "prompt", "new", "refused"),
    [
        ("gpt2", 1000, 24, False),
        ("gpt2", 1000, 25, True),
        ("gpt2", 1, 1024, True),
        ("bert-base-uncased", 512, 1000, False),
        ("bert-base-uncased", 513, 1, True),
        ("t5-small", 100_000, 1000, False),
        ("unknown/model", 10**6, 1, False),
    ],
)
def test_longer_than_the_context(model: str, prompt: int, new: int, refused: bool) -> None:
    answer = model_config.explain_refusal(cell(model, sequence_length=prompt, new_tokens=new))
    assert (answer is not None) == refused
    if answer:
        reason, hint = answer
        assert f"({model_config.find_context_length(model)})" in reason and hint.count("\n") == 0


def test_the_nearest_name() -> None:
    assert builtin.suggest_builtin("gtp2") == "gpt2"
    assert builtin.suggest_builtin("bert-base") == "bert-base-uncased"
    assert builtin.suggest_builtin("someone/Qwen3-0.5B") == "Qwen3-0.6B"
    assert builtin.suggest_builtin("zzzz") is None


PARAMETERS = """
import torch, transformers
from transformers.models.auto import modeling_auto as auto
from txtop.models import builtin
from txtop.models.dimensions import read_dimensions
from txtop.worker.loading import weights

TABLE = {"causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, "encoder": auto.MODEL_MAPPING_NAMES,
         "seq2seq": auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES}

def parts(known, **smaller):
    model_class = getattr(transformers, TABLE[known.family][known.model_type])
    return model_class, model_class.config_class(**{**known.config, **smaller})

def count(model):
    return sum(p.numel() for p in model.parameters())

for known in builtin.BUILTIN_MODELS:
    model_class, config = parts(known)
    with torch.device("meta"):
        model = model_class(config)
    assert count(model) == known.parameters, (known.name, count(model))
    size = read_dimensions({"model_type": known.model_type, **known.config}, known.family)
    assert 0.97 < size.count_parameters() / known.parameters < 1.03, known.name
    text = config.get_text_config(decoder=True)
    heads = getattr(text, "num_key_value_heads", text.num_attention_heads)
    head_dim = getattr(text, "head_dim", None) or getattr(text, "d_kv", None)
    head_dim = head_dim or text.hidden_size // text.num_attention_heads
    assert (size.layers, size.kv_width) == (text.num_hidden_layers, heads * head_dim), known.name

torch.set_num_threads(1)
ids = torch.arange(16)[None]
for name in ("SmolLM2-135M", "bert_uncased_L-4_H-512_A-8", "t5-small"):
    layers = "num_layers" if "t5" in name else "num_hidden_layers"
    model_class, config = parts(builtin.find_builtin(name), vocab_size=512, **{layers: 1})
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = weights.build_random_model(model_class, config, "sdpa", dtype, seed=3)
        again = weights.build_random_model(model_class, config, "sdpa", dtype, seed=3)
        assert all(map(torch.equal, model.parameters(), again.parameters()))
        more = {"decoder_input_ids": ids[:, :1]} if "t5" in name else {}
        with torch.inference_mode():
            out = model(input_ids=ids, **more)
        values = out.logits if "logits" in out else out.last_hidden_state
        assert values.isfinite().all() and values.float().std() > 0, (name, dtype)
assert model.encoder.block[0].layer[1].DenseReluDense.wo.weight.dtype == torch.float32
"""


def test_the_table_is_the_published_architectures_and_random_weights_are_finite(
    tmp_path: Path,
) -> None:
    script = tmp_path / "parameters.py"
    script.write_text(PARAMETERS)
    done = subprocess.run(build_warm_command(script), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
