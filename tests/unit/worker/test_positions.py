"""The limit of positions that a loaded model shows, at the limit and one token beyond it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import transformers

from txtop.models import model_config
from txtop.models.builtin import Family
from txtop.plan.cell import Cell
from txtop.worker.loading.positions import PositionLimits, find_position_limits

BERT = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
BERT |= {"num_attention_heads": 2, "max_position_embeddings": 34}
BART = {"vocab_size": 64, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
BART |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32}
BART |= {"decoder_ffn_dim": 32}
TABLES: list[tuple[str, dict[str, Any], int]] = [
    ("BertModel", BERT, 34),
    ("RobertaModel", BERT, 32),
    ("RobertaForMaskedLM", BERT | {"pad_token_id": 5}, 28),
    ("MPNetModel", BERT, 32),
    ("LongformerModel", BERT | {"attention_window": [8]}, 32),
    ("EsmModel", BERT | {"position_embedding_type": "absolute", "pad_token_id": 1}, 32),
    ("GPT2LMHeadModel", {"vocab_size": 64, "n_embd": 16, "n_layer": 1, "n_head": 2,
                         "n_positions": 34}, 34),
    ("OPTForCausalLM", BERT | {"ffn_dim": 32, "word_embed_proj_dim": 16}, 34),
    ("BartForConditionalGeneration", BART | {"max_position_embeddings": 34}, 34),
]  # fmt: skip
WITHOUT: list[tuple[str, dict[str, Any], int | None]] = [
    ("LlamaForCausalLM", BERT | {"num_key_value_heads": 2}, 34),
    ("GPTJForCausalLM", {"vocab_size": 64, "n_embd": 16, "n_layer": 1, "n_head": 2,
                         "n_positions": 34, "rotary_dim": 4}, 34),
    ("T5ForConditionalGeneration", {"vocab_size": 64, "d_model": 16, "d_kv": 8, "d_ff": 32,
                                    "num_layers": 1, "num_heads": 2}, None),
    ("BloomForCausalLM", {"vocab_size": 64, "hidden_size": 16, "n_layer": 1, "n_head": 2}, None),
    ("MambaForCausalLM", {"vocab_size": 64, "hidden_size": 16, "num_hidden_layers": 1,
                          "state_size": 4}, None),
]  # fmt: skip


def build(name: str, values: dict[str, Any]) -> Any:
    model_class = getattr(transformers, name)
    return model_class._from_config(
        model_class.config_class(**values), attn_implementation="eager"
    ).eval()


def run(model: Any, length: int) -> None:
    ids = torch.full((1, length), 3)
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    with torch.inference_mode():
        model(input_ids=ids, **more)


@pytest.mark.fault(49)
@pytest.mark.parametrize(("name", "values", "limit"), TABLES, ids=[t[0] for t in TABLES])
def test_the_limit_runs_and_one_more_does_not(
    name: str, values: dict[str, Any], limit: int
) -> None:
    model = build(name, values)
    limits = find_position_limits(model, 34)
    assert limits == PositionLimits(limit, limit)
    run(model, limit)
    with pytest.raises((IndexError, RuntimeError)):
        run(model, limit + 1)
    tries: tuple[tuple[int, Family], ...] = (
        (limit, "encoder"),
        (limit + 1, "encoder"),
        (limit - 3, "causal"),
    )
    for length, kind in tries:
        cell = Cell(id="c", model="m", sequence_length=length, new_tokens=4)
        refusal = model_config.explain_too_long(cell, kind, limits.prompt, limits.new)
        assert (refusal is None) == (length == limit)
        if refusal:
            most = limit if kind == "encoder" else limit - 4
            assert re.findall(r"at most (\d+)", refusal[1]) == [str(most)]


@pytest.mark.parametrize(("name", "values", "limit"), WITHOUT, ids=[t[0] for t in WITHOUT])
def test_without_a_table_the_configuration_tells_or_nothing_does(
    name: str, values: dict[str, Any], limit: int | None
) -> None:
    assert find_position_limits(build(name, values), 34) == PositionLimits(limit, limit)


def test_encoder_and_decoder_have_limits_of_their_own() -> None:
    values = BART | {"max_encoder_position_embeddings": 64, "max_decoder_position_embeddings": 32}
    model = build("LEDForConditionalGeneration", values | {"attention_window": [8]})
    assert find_position_limits(model, None) == PositionLimits(64, 32)


def test_before_loading_a_number_is_named_only_if_it_is_exact() -> None:
    cell = Cell(id="c", model="m", sequence_length=40)
    for exact, hint in ((True, "--sequence-lengths of at most 34"), (False, "shorter")):
        refusal = model_config.explain_too_long(cell, "encoder", 34, 34, exact=exact)
        assert refusal is not None and refusal[1].startswith(hint)
