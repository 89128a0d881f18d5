"""The dimensions of a transformer, read from its configuration: what its memory depends on.

Configurations name one thing in several ways, and leave out what has a default in the library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from txtop.models.builtin import Family

# A feed-forward layer of these has two matrices; one of the others is gated and has three.
_UNGATED = frozenset(
    {
        "biogpt", "bloom", "codegen", "ctrl", "falcon", "gpt2", "gpt_bigcode", "gpt_neo",
        "gpt_neox", "gptj", "mpt", "openai-gpt", "opt", "phi", "starcoder2", "xglm",
    }
)  # fmt: skip
# These compute GELU from its formula unless the configuration says otherwise.
_NEW_GELU = frozenset({"codegen", "ctrl", "gpt2", "gpt_neo", "gptj", "openai-gpt"})
_FORMULA = frozenset({"gelu_new", "gelu_fast"})
_LAYERS = ("num_decoder_layers", "decoder_layers", "num_hidden_layers", "n_layer", "num_layers")
_ENCODER_LAYERS = ("num_layers", "encoder_layers", *_LAYERS)
_HEADS = ("num_attention_heads", "n_head", "num_heads", "decoder_attention_heads")
_WIDTH = ("hidden_size", "n_embd", "d_model")
_INNER = ("intermediate_size", "n_inner", "ffn_dim", "d_ff", "decoder_ffn_dim")
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts")
_ACTIVE = ("num_experts_per_tok", "num_experts_per_token")


@dataclass(frozen=True)
class Dimensions:
    """The dimensions of a model; those of one expert, of which `active` work on a token.

    `layers` are the decoder's where there is one; `encoder_layers` are those of an encoder-decoder.
    `formula` is set if its activation function is computed in steps that each make a tensor.
    """

    family: Family
    model_type: str
    layers: int
    encoder_layers: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    positions: int
    gated: bool
    formula: bool
    experts: int = 0
    active: int = 1
    window: int | None = None
    tied: bool = True
    output_head: bool = False
    """A head over the vocabulary at every position: that of a masked language model."""

    @property
    def query_width(self) -> int:
        """Return the values of the queries of one position in one layer."""
        return self.heads * self.head_dim

    @property
    def kv_width(self) -> int:
        """Return the values of the keys of one position in one layer."""
        return self.kv_heads * self.head_dim

    @property
    def largest_matrix(self) -> int:
        """Return the values of the largest matrix that multiplies a token."""
        head = self.vocabulary * self.width if self.family != "encoder" or self.output_head else 0
        return max(head, self.width * self.inner)

    def count_parameters(self) -> int:
        """Count the parameters that these dimensions make, biases and norms left out."""
        attention = 2 * self.width * (self.query_width + self.kv_width)
        products = self.width * self.inner * (3 if self.gated else 2)
        layer = attention + products * max(1, self.experts) + self.width * self.experts
        tables = self.vocabulary * self.width * (1 if self.tied else 2)
        if self.model_type == "gpt2" or self.family == "encoder":
            tables += self.positions * self.width
        if self.family != "seq2seq":
            return tables + self.layers * layer
        return tables + self.encoder_layers * layer + self.layers * (layer + attention)

    def count_feed_forward_outputs(self) -> int:
        """Count the parameters of all matrices that lead out of a feed-forward layer."""
        return self.width * self.inner * (self.layers + self.encoder_layers)


def find_first_integer(config: Mapping[str, Any], *keys: str) -> int | None:
    """Return the first of `keys` that is a positive integer in `config`, or None."""
    values = (config.get(key) for key in keys)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def read_dimensions(config: Mapping[str, Any], family: Family) -> Dimensions | None:
    """Read the dimensions that `config` states; None if one is missing."""
    text = config.get("text_config")
    config = text if isinstance(text, dict) and "hidden_size" in text else config
    kind = str(config.get("model_type") or "")
    layers, heads = find_first_integer(config, *_LAYERS), find_first_integer(config, *_HEADS)
    width, vocabulary = (
        find_first_integer(config, *_WIDTH),
        find_first_integer(config, "vocab_size"),
    )
    if layers is None or heads is None or width is None or vocabulary is None:
        return None
    experts = find_first_integer(config, *_EXPERTS) or 0
    inner = find_first_integer(config, *(("moe_intermediate_size",) if experts else ()), *_INNER)
    activation = config.get("activation_function") or config.get("hidden_act") or ""
    if family == "seq2seq":
        gated = str(config.get("feed_forward_proj") or "relu").startswith("gated")
        activation = "gelu_new" if config.get("feed_forward_proj") == "gated-gelu" else "relu"
    else:
        gated = family == "causal" and kind not in _UNGATED
    classes = config.get("architectures")
    name = str(classes[0]) if isinstance(classes, list) and classes else ""
    window = find_first_integer(config, "sliding_window")
    if config.get("use_sliding_window") is False:
        window = None
    return Dimensions(
        family=family,
        model_type=kind,
        layers=layers,
        encoder_layers=(find_first_integer(config, *_ENCODER_LAYERS) or layers)
        if family == "seq2seq"
        else 0,
        width=width,
        inner=inner or 4 * width,
        heads=heads,
        kv_heads=find_first_integer(config, "num_key_value_heads") or heads,
        head_dim=find_first_integer(config, "head_dim", "d_kv") or width // heads,
        vocabulary=vocabulary,
        positions=find_first_integer(config, "max_position_embeddings", "n_positions") or 0,
        gated=gated,
        formula=activation in _FORMULA or (not activation and kind in _NEW_GELU),
        experts=experts,
        active=find_first_integer(config, *_ACTIVE) or 1,
        window=window,
        tied=bool(config.get("tie_word_embeddings", family != "causal" or kind in _UNGATED)),
        output_head=name.endswith("ForMaskedLM"),
    )
