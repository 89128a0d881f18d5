"""The KV caches of a cell: what each takes in memory, and the output that is read through it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM, QuantizedCache

from support import tiny_models
from support.inline_worker import InlineWorker, run_inline
from txtop.models.decoding_rules import CACHES
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.worker import probe
from txtop.worker.failures import RejectedError
from txtop.worker.fidelity import outputs
from txtop.worker.fidelity.passage import TokenWindow
from txtop.worker.loading import kv_cache

WITH_HQQ = pytest.mark.skipif(find_spec("hqq") is None, reason="hqq is not installed")
PROMPT, NEW, LAYERS, HEADS, SIZE = 24, 9, 2, 2, 64
EVERYWHERE = ["dynamic", "static", "quantized:fp8"]
QUANTISED = [
    "quantized:fp8",
    *(pytest.param(f"quantized:{kind}", marks=WITH_HQQ) for kind in ("int8", "int4")),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A decoder with two key-value heads of 64 values under four heads of queries."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=96, hidden_size=4 * SIZE, intermediate_size=64, num_hidden_layers=LAYERS,
        num_attention_heads=4, num_key_value_heads=HEADS, max_position_embeddings=256,
        initializer_range=0.2,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[InlineWorker]:
    with run_inline(monkeypatch) as inline:
        yield inline


def cell(model: Path, cache: str, **knobs: object) -> Cell:
    knobs = {"sequence_length": PROMPT, "new_tokens": NEW, **knobs}
    return Cell(id="c1", model=str(model), device="cpu", threads=1, cache=cache, **knobs)  # type: ignore[arg-type]


def count_by_hand(cache: str, batch: int) -> int:
    """Return the bytes of keys and values of the layers, from their shapes alone."""
    values = 2 * LAYERS * batch * HEADS * SIZE
    positions = PROMPT + NEW - 1
    if not cache.startswith("quantized"):
        return values * positions * 4
    if cache.endswith("fp8"):
        return values * positions
    # A group of 64 values has a scale and a zero; the new tokens wait in fp32.
    bits = int(cache[-1])
    prompt = values * PROMPT
    return prompt * bits // 8 + prompt // 64 * 2 * 4 + values * (NEW - 1) * 4


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cache", [*EVERYWHERE, *QUANTISED[1:]])
def test_the_bytes_of_a_cache_are_those_of_its_keys_and_values(
    cache: str, batch: int, model: Path, worker: InlineWorker
) -> None:
    target = cell(model, cache, batch_size=batch)
    worker.follow(
        commands.LoadModel(cell=target, started_ns=0, seed=0),
        commands.Prepare(cell=target),
        commands.Iterate(cell="c1", role="first", index=0),
        commands.Iterate(cell="c1", role="measured", index=1),
    )
    first, measured = worker.of(events.Iteration)
    assert first.cache_bytes == pytest.approx(count_by_hand(cache, batch), rel=0.01)
    assert measured.cache_bytes is None, "nothing is counted in a measured call"
    (workload,) = worker.of(events.Workload)
    assert any("KV cache" in note for note in workload.notes) is cache.startswith("quantized")


def test_the_caches_of_an_encoder_decoder_are_both_counted(
    worker: InlineWorker, tmp_path: Path
) -> None:
    target = cell(tiny_models.t5(tmp_path / "m"), "dynamic")
    worker.follow(
        commands.LoadModel(cell=target, started_ns=0, seed=0),
        commands.Prepare(cell=target),
        commands.Iterate(cell="c1", role="first", index=0),
    )
    (first,) = worker.of(events.Iteration)
    # The decoder starts with one token of its own, and looks at the whole prompt.
    assert first.cache_bytes == 2 * 2 * tiny_models.WIDTH * 4 * (NEW + PROMPT)


def test_a_storage_is_counted_once_and_whole() -> None:
    cache = DynamicCache()
    keys = torch.zeros(1, 1, 4, 8)
    cache.update(keys, keys, 0)
    layer: Any = cache.layers[0]
    layer.keys = keys[:, :, 2:]
    layer.values = keys[:, :, :1]
    assert kv_cache.count_cache_bytes(cache) == keys.nbytes
    assert kv_cache.count_cache_bytes(None) is None


@pytest.mark.parametrize("cache", QUANTISED)
def test_fidelity_is_read_through_the_cache_as_one_token_after_the_other(
    cache: str, model: Path, worker: InlineWorker
) -> None:
    target = cell(model, cache, sequence_length=32)
    worker.follow(commands.LoadModel(cell=target, started_ns=0, seed=0))
    loaded = worker.loaded
    ids = torch.randint(96, (200,), generator=torch.Generator().manual_seed(3))
    window = TokenWindow(ids, ids)
    answer = outputs.compute_output(loaded, target, window, hidden=False)
    assert answer.first == 32 and len(answer.rows) == 200

    own: dict[str, Any] = {"backend": "fp8"}
    if not cache.endswith("fp8"):
        own = {
            "backend": "hqq", "nbits": int(cache[-1]), "axis_key": 1, "axis_value": 1,
            "q_group_size": 64, "residual_length": 128,
        }  # fmt: skip
    past = QuantizedCache(config=loaded.model.config, **own)
    rows = []
    with torch.inference_mode():
        for part in (ids[None, :32], *ids[None, 32:].split(1, dim=1)):
            output = loaded.model(input_ids=part, past_key_values=past, use_cache=True)
            rows.append(output.logits[0].double().log_softmax(-1))
    exact = outputs.compute_output(loaded, cell(model, "dynamic"), window, hidden=False)
    effect = (exact.rows - answer.rows).abs().mean(1)
    apart = (torch.cat(rows) - answer.rows).abs().mean(1)
    assert float(effect[:32].max()) < 1e-5, "the prompt does not read the cache"
    # Rounding in fp32 moves a value to the next step of the quantiser now and then.
    assert float(apart.mean()) < float(effect[32:].mean()) / 100


@pytest.mark.parametrize(
    ("length", "window", "first"), [(128, 512, 128), (512, 640, 512), (4000, 2048, 1920), (9, 8, 4)]
)
def test_a_window_keeps_tokens_behind_the_prompt(length: int, window: int, first: int) -> None:
    assert (
        outputs.find_cached_part(Cell(id="c", model="m", sequence_length=length), window) == first
    )


def test_what_cannot_be_had_is_refused_before_the_weights(
    worker: InlineWorker, tmp_path: Path
) -> None:
    refused = {
        "offloaded": (tiny_models.gpt2(tmp_path / "m", weights=False), "NVIDIA GPU"),
        "quantized:fp8": (tiny_models.t5(tmp_path / "t5", weights=False), "for decoders"),
    }
    for cache, (path, reason) in refused.items():
        worker.follow(commands.LoadModel(cell=cell(path, cache), started_ns=0, seed=0))
        (rejected,) = worker.of(events.CellRejected)
        assert reason in rejected.reason
        assert "weights" not in [phase.name for phase in worker.of(events.Phase)]


def test_a_layer_without_keys_and_values_is_refused_with_the_reason_of_the_library() -> None:
    from transformers import MistralConfig, MistralForCausalLM

    config = MistralConfig(num_hidden_layers=2, sliding_window=16)
    target = Cell(id="c", model="m", cache="quantized:fp8")
    with pytest.raises(RejectedError, match="sliding_attention"):
        kv_cache.require_cache(target, MistralForCausalLM, "causal", config, torch.device("cpu"))
    config.sliding_window = None
    plain = MistralConfig(num_hidden_layers=2, sliding_window=None)
    kv_cache.require_cache(target, MistralForCausalLM, "causal", plain, torch.device("cpu"))


def test_doctor_lists_the_caches_and_what_the_others_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = replace(CACHES["quantized:int4"], package="no_such_library")
    monkeypatch.setitem(CACHES, "quantized:int4", lacking)  # type: ignore[arg-type]
    entry = probe._probe_caches()
    able, _, without = entry["detail"].partition("; without ")
    assert "quantized:fp8" in able and "dynamic" in able
    assert "quantized:int4" in without and "offloaded" in without
    assert "no_such_library" in entry["next"]
