"""A checkpoint is loaded and run as what it is made for, or a note says what is left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.models.auto import modeling_auto

from txtop.models import purpose
from txtop.plan.cell import Cell
from txtop.protocol import commands
from txtop.state import fidelity
from txtop.worker.failures import RejectedError
from txtop.worker.fidelity.scores import OutputComparer
from txtop.worker.loading.load import read_model
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.source import ModelSource
from txtop.worker.tasks.task import make_inputs

LLAMA = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
LLAMA |= {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64}
BERT = {k: v for k, v in LLAMA.items() if k != "num_key_value_heads"}
BART = {"vocab_size": 64, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1}
BART |= {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32}
BART |= {"decoder_ffn_dim": 32, "max_position_embeddings": 64, "num_labels": 3}
T5 = {"vocab_size": 64, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
POOLING = [{"type": f"sentence_transformers.models.{name}"} for name in ("Transformer", "Pooling")]
CASES: list[tuple[str, dict[str, Any], bool, str, str, str]] = [
    ("BertForMaskedLM", BERT, False, "encoder", "BertForMaskedLM", ""),
    ("BigBirdForSequenceClassification", BERT | {"attention_type": "original_full"}, False,
     "encoder", "BigBirdForSequenceClassification", ""),
    ("ConvBertForTokenClassification", BERT | {"embedding_size": 16, "head_ratio": 1}, False,
     "encoder", "ConvBertForTokenClassification", ""),
    ("RobertaForQuestionAnswering", BERT, False, "encoder", "RobertaForQuestionAnswering", ""),
    ("BertForPreTraining", BERT, False, "encoder", "BertForPreTraining", ""),
    ("LlamaForSequenceClassification", LLAMA, False, "encoder",
     "LlamaForSequenceClassification", ""),
    ("BartForSequenceClassification", BART, False, "encoder", "BartForSequenceClassification", ""),
    ("LlamaModel", LLAMA, False, "encoder", "LlamaModel", ""),
    ("Qwen3Model", LLAMA | {"head_dim": 8}, True, "encoder", "Qwen3Model", "Pooling after it"),
    ("T5EncoderModel", T5, False, "encoder", "T5EncoderModel", ""),
    ("BertForMultipleChoice", BERT, False, "encoder", "BertModel",
     "measured as BertModel: config.json names BertForMultipleChoice"),
    ("LlamaForCausalLM", LLAMA, False, "causal", "LlamaForCausalLM", ""),
    ("BartForConditionalGeneration", BART, False, "seq2seq", "BartForConditionalGeneration", ""),
]  # fmt: skip


def save(path: Path, name: str, values: dict[str, Any], embeds: bool) -> Path:
    """Save a checkpoint of the class `name`, as its maker would."""
    model_class = getattr(transformers, name)
    torch.manual_seed(0)
    model_class(model_class.config_class(**values)).save_pretrained(path)
    if embeds:
        (path / "modules.json").write_text(json.dumps(POOLING))
    return path


def load(path: Path, **cell: Any) -> LoadedModel:
    source = ModelSource(
        json.loads((path / "config.json").read_text()), "pretrained", path.name, path
    )
    wanted = Cell(id="c", model=str(path), device="cpu", attention="eager", **cell)
    return read_model(wanted, source, 0, 1, lambda _: None)


@pytest.mark.fault(50)
@pytest.mark.parametrize(
    ("name", "values", "embeds", "family", "measured", "note"), CASES, ids=[c[0] for c in CASES]
)
def test_a_checkpoint_runs_as_what_it_is_made_for(
    name: str, values: dict[str, Any], embeds: bool, family: str, measured: str, note: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    path = save(tmp_path / "m", name, values, embeds)
    loaded = load(path)
    assert (loaded.family, type(loaded.model).__name__) == (family, measured)
    assert (note in str(loaded.notes)) if note else not loaded.notes
    assert not loaded.drawn or name == "BertForMultipleChoice"
    if family == "encoder":
        cell = Cell(id="c", model="", batch_size=3, sequence_length=12)
        inputs = make_inputs(cell, 64, 0, loaded.device, loaded.end_token)
        assert loaded.task.iterate(inputs, True, None, lambda: None).invalid == 0
        assert loaded.task.encodes
        reference = Cell(id="A", model=str(path), device="cpu", attention="eager")
        order = commands.Compare(
            cell=reference, reference=reference, positions=64, started_ns=0, seed=0
        )
        result = OutputComparer(1, lambda _: None, lambda: None).run(order)
        assert fidelity.compute_badge(result) == "lossless-like"


@pytest.mark.fault(50)
@pytest.mark.parametrize(
    ("config", "reason", "hint"),
    [
        ({"model_type": "vit", "architectures": ["ViTForImageClassification"]},
         "txtop cannot measure ViTForImageClassification", "text model"),
        ({"model_type": "of-next-year"}, "does not know model type 'of-next-year'", "-U"),
        ({}, "no model_type in config.json", "another model"),
        ({"model_type": "own", "auto_map": {}}, "code of its own", "--trust-remote-code"),
    ],
)  # fmt: skip
def test_what_is_not_measured_is_refused_by_its_name(
    config: dict[str, Any], reason: str, hint: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RejectedError) as refusal:
        load(tmp_path)
    assert reason in refusal.value.cause and hint in refusal.value.hint
    assert "not a text model" not in refusal.value.cause


def test_the_list_of_encoders_is_the_librarys() -> None:
    masked = set(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    assert masked - purpose.ENCODERS <= set(
        modeling_auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    )


def test_every_table_of_the_purposes_exists() -> None:
    for ending, wanted in purpose._ENDINGS.items():
        table: Callable[[str], str] = getattr(modeling_auto, wanted.table).get
        assert table("bert") or table("t5") or table("gpt2"), ending
        assert all(hasattr(transformers, name) for name in wanted.own)
