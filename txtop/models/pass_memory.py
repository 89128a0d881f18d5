"""The memory that a forward pass holds at its highest, beside weights and process.

A closed form of the library's code, layer by layer: the tensors that are alive together in the
widest of its phases. tests/unit/models/test_pass_memory.py holds it against what torch allocates.
See docs/method.md, "Forecast of memory".
"""

from __future__ import annotations

from dataclasses import dataclass

from txtop.models.dimensions import Dimensions

INDEX_BYTES = 8
_FP32_BYTES = 4
# Token ids and mask, and the copies that generate() makes of both.
_INPUTS = 4
# Tensors as wide as the model that live through a feed-forward layer: embeddings, the sum before
# and after attention, the normed input.
_RESIDUALS = {"gpt2": 6, "encoder": 3, "causal": 4, "seq2seq": 4}
# The bias of relative positions begins as tables of 64-bit numbers, and one of booleans.
_BUCKET_BYTES = 6 * INDEX_BYTES + 1


@dataclass(frozen=True)
class PassShape:
    """The size of one call: sequences, prompt, new tokens, bytes of a value, and how it attends."""

    batch: int
    prompt: int
    new: int
    value_bytes: int
    eager: bool = False
    static: bool = False
    """The cache has its full length from the start."""

    @property
    def cache_length(self) -> int:
        """Return the positions that the cache has at its end."""
        return self.prompt + self.new


def count_cache_bytes(size: Dimensions, shape: PassShape, length: int | None = None) -> int:
    """Return the bytes of keys and values of `length` positions, by default all, in all layers.

    An encoder-decoder keeps those of the prompt, once, and of each new token.
    """
    if size.family == "encoder":
        return 0
    length = shape.cache_length if length is None else length
    per_position = 2 * size.layers * size.kv_width * shape.value_bytes
    return shape.batch * length * per_position


def count_pass_bytes(size: Dimensions, shape: PassShape) -> int:
    """Return the most bytes that one call holds at a time, its cache included."""
    if size.family == "seq2seq":
        decode = _count_decode(size, shape, shape.prompt + shape.new)
        return max(_count_prefill(size, shape, 0), decode) + _count_inputs(shape)
    if size.family == "encoder":
        return _count_prefill(size, shape, 0) + _count_inputs(shape)
    whole = count_cache_bytes(size, shape)
    kept = whole if shape.static else count_cache_bytes(size, shape, shape.prompt)
    prefill = _count_prefill(size, shape, kept)
    return max(prefill, _count_decode(size, shape, _reach(size, shape))) + _count_inputs(shape)


def _reach(size: Dimensions, shape: PassShape) -> int:
    """Return the positions that the cache keeps while tokens are made."""
    window = size.window or shape.cache_length
    return min(window, shape.cache_length)


def _count_inputs(shape: PassShape) -> int:
    return _INPUTS * INDEX_BYTES * shape.batch * shape.prompt


def _count_prefill(size: Dimensions, shape: PassShape, kept: int) -> int:
    """Return the most that the pass over the prompt holds, with `kept` of the cache."""
    tokens, value = shape.batch * shape.prompt, shape.value_bytes
    residuals = _RESIDUALS.get(size.model_type, _RESIDUALS[size.family])
    state = tokens * size.width * value
    states = residuals * state
    layer = max(
        _count_feed_forward(size, shape) + _count_kept_scores(size, shape),
        _count_attention(size, shape),
    )
    head = tokens * size.vocabulary * value if size.output_head else 0
    buckets = _BUCKET_BYTES * shape.prompt**2 if size.family == "seq2seq" else 0
    return kept + max(
        states + layer + _count_mask(size, shape),
        2 * state + head,
        5 * state + buckets,
        _count_logits(size, shape),
    )


def _count_feed_forward(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes within a feed-forward layer."""
    tokens, value = shape.batch * shape.prompt, shape.value_bytes
    if size.experts:
        # The states sorted by expert, gate and up in one, the gate, and the product.
        return size.active * tokens * (size.width + 4 * size.inner) * value
    steps = 4 if size.formula else 2
    return (steps + size.gated) * tokens * size.inner * value


def _count_attention(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes within an attention layer."""
    tokens, value = shape.batch * shape.prompt, shape.value_bytes
    heads = tokens * (2 * size.query_width + 2 * size.kv_width) * value
    if not shape.eager:
        return heads + count_window_mask_bytes(size, shape)
    repeated = 2 * tokens * size.query_width * value if size.kv_heads < size.heads else 0
    return repeated + heads // 2 + _count_scores(shape, size) * _count_score_bytes(size, shape)


def count_window_mask_bytes(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes of the mask of numbers that the kernel of a window makes, in one block.

    It is made for each sequence, from one of booleans for all.
    """
    if shape.eager or not _is_windowed(size, shape):
        return 0
    return _FP32_BYTES * shape.batch * shape.prompt**2


def _count_scores(shape: PassShape, size: Dimensions) -> int:
    return shape.batch * size.heads * shape.prompt**2


def _count_score_bytes(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes of one score while softmax runs, which is in fp32 in newer decoders."""
    upcast = size.family == "causal" and size.gated and shape.value_bytes < 4
    return 4 + 4 + shape.value_bytes if upcast else 2 * shape.value_bytes


def _count_kept_scores(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes of the scores that a decoder's layer keeps until its end."""
    keeps = shape.eager and size.family == "causal"
    return _count_scores(shape, size) * shape.value_bytes if keeps else 0


def _count_mask(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes of tables over all pairs of positions that all heads or layers share."""
    pairs = shape.prompt**2
    if size.family == "seq2seq":
        return size.heads * shape.value_bytes * pairs
    if size.family == "encoder":
        return 0
    if shape.eager:
        return shape.batch * pairs * shape.value_bytes
    return pairs if _is_windowed(size, shape) else 0


def _is_windowed(size: Dimensions, shape: PassShape) -> bool:
    """Return True if some positions of the prompt are out of reach of others."""
    return size.family == "causal" and size.window is not None and shape.prompt > size.window


def _count_logits(size: Dimensions, shape: PassShape) -> int:
    """Return the bytes of the logits of one position: in the model's precision, and in fp32 those
    of this token and of the one before."""
    if size.family == "encoder":
        return 0
    return shape.batch * size.vocabulary * (shape.value_bytes + 2 * _FP32_BYTES)


def _count_decode(size: Dimensions, shape: PassShape, length: int) -> int:
    """Return the bytes at the last token: the cache, what grows in a layer, and the logits."""
    cache = count_cache_bytes(size, shape, length)
    growing = 0 if shape.static else cache // (2 * size.layers)
    before = _FP32_BYTES * shape.batch * size.vocabulary
    states = shape.batch * shape.prompt * size.width * shape.value_bytes
    encoded = states if size.family == "seq2seq" else 0
    return cache + encoded + max(growing + before, _count_logits(size, shape))
