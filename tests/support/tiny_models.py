"""Tiny model directories with a few thousand parameters, written without torch or transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

Shapes = dict[str, tuple[int, ...]]
VOCABULARY = 96
POSITIONS = 64
WIDTH = 16
INNER = 32


def write(
    directory: Path, config: dict[str, Any], shapes: Shapes, *, weights: bool = True, seed: int = 0
) -> Path:
    """Write config.json and, if `weights`, model.safetensors with seeded fp32 values."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if weights:
        generator = np.random.default_rng(seed)
        tensors = {
            name: generator.normal(0, 0.02, shape).astype(np.float32)
            if len(shape) > 1
            else np.full(shape, 0.0 if name.endswith("bias") else 1.0, dtype=np.float32)
            for name, shape in shapes.items()
        }
        save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    return directory


def drop(directory: Path, *beginnings: str, **config: Any) -> Path:
    """Take the tensors whose names begin so out of the file, and set keys of config.json."""
    path = directory / "model.safetensors"
    kept = {k: v for k, v in load_file(path).items() if not k.startswith(beginnings)}
    save_file(kept, path, metadata={"format": "pt"})
    values = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    (directory / "config.json").write_text(json.dumps(values | config), encoding="utf-8")
    return directory


def gpt2(directory: Path, *, weights: bool = True, layers: int = 2) -> Path:
    """Write a decoder: 96 tokens, 64 positions, 16 wide."""
    config = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": VOCABULARY,
        "n_positions": POSITIONS, "n_embd": WIDTH, "n_layer": layers, "n_head": 2,
        "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    shapes: Shapes = {
        "transformer.wte.weight": (VOCABULARY, WIDTH),
        "transformer.wpe.weight": (POSITIONS, WIDTH),
        **_norm("transformer.ln_f", WIDTH),
    }
    for layer in range(layers):
        at = f"transformer.h.{layer}."
        shapes |= _norm(at + "ln_1", WIDTH) | _norm(at + "ln_2", WIDTH)
        for name, inputs, outputs in (
            ("attn.c_attn", WIDTH, 3 * WIDTH),
            ("attn.c_proj", WIDTH, WIDTH),
            ("mlp.c_fc", WIDTH, 4 * WIDTH),
            ("mlp.c_proj", 4 * WIDTH, WIDTH),
        ):
            shapes |= {f"{at}{name}.weight": (inputs, outputs), f"{at}{name}.bias": (outputs,)}
    return write(directory, config, shapes, weights=weights)


def llama(directory: Path, *, weights: bool = True, layers: int = 2) -> Path:
    """Write a decoder that Transformers can cut: 96 tokens, 4 heads, 2 of keys and values."""
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS, "hidden_size": WIDTH, "num_hidden_layers": layers,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": INNER,
        "tie_word_embeddings": True, "bos_token_id": 0, "eos_token_id": 0, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    shapes: Shapes = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
    }
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{at}{name}.weight"] = (WIDTH,)
        for name, inputs, outputs in (
            ("self_attn.q_proj", WIDTH, WIDTH),
            ("self_attn.k_proj", WIDTH, WIDTH // 2),
            ("self_attn.v_proj", WIDTH, WIDTH // 2),
            ("self_attn.o_proj", WIDTH, WIDTH),
            ("mlp.gate_proj", WIDTH, INNER),
            ("mlp.up_proj", WIDTH, INNER),
            ("mlp.down_proj", INNER, WIDTH),
        ):
            shapes[f"{at}{name}.weight"] = (outputs, inputs)
    return write(directory, config, shapes, weights=weights)


def bert(directory: Path, *, weights: bool = True, layers: int = 2) -> Path:
    """Write an encoder: 96 tokens, 64 positions, 16 wide, with its pooler."""
    config = {
        "model_type": "bert", "architectures": ["BertModel"], "vocab_size": VOCABULARY,
        "max_position_embeddings": POSITIONS, "hidden_size": WIDTH, "num_hidden_layers": layers,
        "num_attention_heads": 2, "intermediate_size": INNER,
    }  # fmt: skip
    shapes: Shapes = {
        "embeddings.word_embeddings.weight": (VOCABULARY, WIDTH),
        "embeddings.position_embeddings.weight": (POSITIONS, WIDTH),
        "embeddings.token_type_embeddings.weight": (2, WIDTH),
        **_norm("embeddings.LayerNorm", WIDTH),
        **_linear("pooler.dense", WIDTH, WIDTH),
    }
    for layer in range(layers):
        at = f"encoder.layer.{layer}."
        for name in ("query", "key", "value"):
            shapes |= _linear(f"{at}attention.self.{name}", WIDTH, WIDTH)
        shapes |= _linear(at + "attention.output.dense", WIDTH, WIDTH)
        shapes |= _norm(at + "attention.output.LayerNorm", WIDTH)
        shapes |= _linear(at + "intermediate.dense", WIDTH, INNER)
        shapes |= _linear(at + "output.dense", INNER, WIDTH)
        shapes |= _norm(at + "output.LayerNorm", WIDTH)
    return write(directory, config, shapes, weights=weights)


def t5(directory: Path, *, weights: bool = True, layers: int = 2) -> Path:
    """Write an encoder-decoder: 96 tokens, relative positions, 16 wide."""
    heads, head_dim = 2, 8
    config = {
        "model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
        "is_encoder_decoder": True, "vocab_size": VOCABULARY, "d_model": WIDTH, "d_kv": head_dim,
        "d_ff": INNER, "num_heads": heads, "num_layers": layers, "num_decoder_layers": layers,
        "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1,
    }  # fmt: skip
    shapes: Shapes = {"shared.weight": (VOCABULARY, WIDTH)}
    inner = heads * head_dim
    for stack in ("encoder", "decoder"):
        shapes[f"{stack}.final_layer_norm.weight"] = (WIDTH,)
        for block in range(layers):
            kinds = ["SelfAttention"] + (["EncDecAttention"] if stack == "decoder" else [])
            for number, kind in enumerate(kinds):
                at = f"{stack}.block.{block}.layer.{number}."
                shapes |= {f"{at}{kind}.{name}.weight": (inner, WIDTH) for name in "qkv"}
                shapes[f"{at}{kind}.o.weight"] = (WIDTH, inner)
                shapes[f"{at}layer_norm.weight"] = (WIDTH,)
                if block == 0 and kind == "SelfAttention":
                    shapes[f"{at}{kind}.relative_attention_bias.weight"] = (32, heads)
            at = f"{stack}.block.{block}.layer.{len(kinds)}."
            shapes[f"{at}DenseReluDense.wi.weight"] = (INNER, WIDTH)
            shapes[f"{at}DenseReluDense.wo.weight"] = (WIDTH, INNER)
            shapes[f"{at}layer_norm.weight"] = (WIDTH,)
    return write(directory, config, shapes, weights=weights)


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, inputs: int, outputs: int) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def tokenizer(directory: Path, *, template: bool = False, start: bool = True) -> Path:
    """Write a tokenizer of 96 words (`w5` is 5) beside a model, with `<s>` before every text.

    With a `template` a chat is `<s> role … end`, which has a start of its own.
    """
    tokens = ["<s>", "</s>", "<unk>", "user", "assistant", "system", "end"]
    tokens += [f"w{i}" for i in range(len(tokens), VOCABULARY)]
    single: list[dict[str, Any]] = [{"Sequence": {"id": "A", "type_id": 0}}]
    if start:
        single.insert(0, {"SpecialToken": {"id": "<s>", "type_id": 0}})
    fast = {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [
            {"id": i, "content": tokens[i], "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True} for i in range(3)
        ],
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": {
            "type": "TemplateProcessing", "single": single,
            "pair": [*single, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
        },
        "decoder": None,
        "model": {
            "type": "WordLevel", "vocab": {word: i for i, word in enumerate(tokens)},
            "unk_token": "<unk>",
        },
    }  # fmt: skip
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>",
        "unk_token": "<unk>",
    }  # fmt: skip
    if template:
        config["chat_template"] = (
            "<s> {% for m in messages %}{{ m.role }} {{ m.content }} end {% endfor %}"
            "{% if add_generation_prompt %}assistant{% endif %}"
        )
    (directory / "tokenizer.json").write_text(json.dumps(fast), encoding="utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory


CHARACTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:=+-?!\n"


def add_tokenizer(directory: Path) -> Path:
    """Write a tokenizer with a token for each character, and [MASK], into a model's directory."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {token: place for place, token in enumerate([*special, *CHARACTERS])}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": place, "content": token, "special": True, "single_word": False,
                "lstrip": False, "rstrip": False, "normalized": False,
            }
            for place, token in enumerate(special)
        ],
        "pre_tokenizer": {
            "type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False,
        },
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }  # fmt: skip
    (directory / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "[PAD]",
        "unk_token": "[UNK]", "eos_token": "[PAD]", "mask_token": "[MASK]",
        "clean_up_tokenization_spaces": False,
    }  # fmt: skip
    (directory / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return directory


def bert_with_head(directory: Path, kind: str) -> Path:
    """Write a `bert` with a head that is drawn here: `MaskedLM` or `SequenceClassification`."""
    bert(directory)
    body = load_file(directory / "model.safetensors")
    tensors = {f"bert.{name}": values for name, values in body.items()}
    if kind == "MaskedLM":
        tensors = {k: v for k, v in tensors.items() if "pooler" not in k}
        heads: Shapes = {
            **_linear("cls.predictions.transform.dense", WIDTH, WIDTH),
            **_norm("cls.predictions.transform.LayerNorm", WIDTH),
            "cls.predictions.bias": (VOCABULARY,),
        }
    else:
        heads = _linear("classifier", WIDTH, 3)
    generator = np.random.default_rng(5)
    for name, shape in heads.items():
        tensors[name] = generator.normal(0, 0.5, shape).astype(np.float32)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config |= {"architectures": [f"BertFor{kind}"], "id2label": {0: "bad", 1: "fair", 2: "good"}}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory
