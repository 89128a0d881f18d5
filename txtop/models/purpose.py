"""The work that a checkpoint is made for, read from its config.json and its other files.

It decides which class is loaded, and whether an iteration makes tokens or is one forward pass. Read
without torch. See docs/method.md, "What a model is measured as".
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from txtop.models.builtin import Family

# Those that transformers loads as masked language models, encoder-decoders aside: a test compares
# the list with the library's.
ENCODERS = frozenset(
    {
        "albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta",
        "deberta-v2", "distilbert", "electra", "ernie", "esm", "esmc", "eurobert", "flaubert",
        "fnet", "funnel", "gte", "ibert", "jina_embeddings_v3", "layoutlm", "longformer", "luke",
        "megatron-bert", "mobilebert", "modernbert", "modernvbert", "mpnet", "mra", "neomme",
        "nomic_bert", "nystromformer", "perceiver", "reformer", "rembert", "roberta",
        "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert", "tapas", "ultrabert",
        "ultravbert", "xlm", "xlm-roberta", "xlm-roberta-xl", "xmod", "yoso",
    }
)  # fmt: skip
_SEQ2SEQ = ("t5", "mt5", "umt5", "longt5")


@dataclass(frozen=True)
class Purpose:
    """The way to measure a checkpoint.

    `table` is the name in transformers' `modeling_auto` of the mapping from model type to class;
    `own` are the keys of `auto_map` under which a repository may offer a class of its own. `notes`
    say what of the checkpoint is not measured.
    """

    family: Family
    table: str
    own: tuple[str, ...]
    notes: tuple[str, ...] = ()


def _head(task: str) -> Purpose:
    """Return the purpose of a head that one forward pass asks, by its name in transformers."""
    table = f"MODEL_FOR_{task.upper()}_MAPPING_NAMES"
    name = "".join(part.capitalize() for part in task.split("_")).replace("MaskedLm", "MaskedLM")
    return Purpose("encoder", table, (f"AutoModelFor{name}",))


_TEXT = Purpose("causal", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", ("AutoModelForCausalLM",))
_TRANSLATION = Purpose(
    "seq2seq", "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES", ("AutoModelForSeq2SeqLM",)
)
_STATES = Purpose("encoder", "MODEL_MAPPING_NAMES", ("AutoModel", "AutoModelForMaskedLM"))
_ENCODER_HALF = Purpose("encoder", "MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES", ("AutoModel",))
# The end of a class name in `architectures` and what such a checkpoint is for.
_ENDINGS = {
    "ForCausalLM": _TEXT,
    "LMHeadModel": _TEXT,
    "ForMaskedLM": _head("masked_lm"),
    "ForSequenceClassification": _head("sequence_classification"),
    "ForTokenClassification": _head("token_classification"),
    "ForQuestionAnswering": _head("question_answering"),
    "ForNextSentencePrediction": _head("next_sentence_prediction"),
    "ForPreTraining": Purpose("encoder", "MODEL_FOR_PRETRAINING_MAPPING_NAMES", ("AutoModel",)),
    "T5EncoderModel": _ENCODER_HALF,
}


def find_purpose(config: Mapping[str, Any], directory: Path | None) -> Purpose:
    """Return the purpose of the checkpoint that a config.json and its `directory` describe."""
    modules = _read_modules(directory)
    encodes_decodes = bool(config.get("is_encoder_decoder")) or config.get("model_type") in _SEQ2SEQ
    if "Pooling" in modules:
        rest = ", ".join(modules[1:])
        base = _ENCODER_HALF if encodes_decodes else _STATES
        note = f"an embedding model: its transformer is measured, {rest} after it is not"
        return Purpose("encoder", base.table, base.own, (note,))
    name = get_class_name(config)
    for ending, purpose in _ENDINGS.items():
        if name.endswith(ending):
            return purpose
    if encodes_decodes:
        return _TRANSLATION
    if config.get("model_type") in ENCODERS and not config.get("is_decoder"):
        return _STATES
    if name.endswith("Model") and config.get("tie_word_embeddings") is False:
        return _STATES
    return _TEXT


def get_class_name(config: Mapping[str, Any]) -> str:
    """Return the class that config.json names, "" without one."""
    names = config.get("architectures")
    return names[0] if isinstance(names, list) and names and isinstance(names[0], str) else ""


def detect_family(config: Mapping[str, Any], directory: Path | None = None) -> Family:
    """Return the family of the model that a config.json and its `directory` describe."""
    return find_purpose(config, directory).family


def _read_modules(directory: Path | None) -> list[str]:
    """Return the kinds of the modules of a sentence-transformers repository, in order."""
    if directory is None:
        return []
    try:
        modules = json.loads((directory / "modules.json").read_text(encoding="utf-8"))
        return [str(module["type"]).rpartition(".")[2] for module in modules]
    except (OSError, ValueError, RecursionError, TypeError, KeyError):
        return []
