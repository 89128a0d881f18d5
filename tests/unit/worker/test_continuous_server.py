"""Continuous batching: the versions of the library that have it, and the size of its KV cache."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from transformers.generation import configuration_utils

from support.library_versions import needs_continuous
from txtop.plan.cell import Cell
from txtop.plan.serving import Serving
from txtop.worker.failures import RejectedError
from txtop.worker.serving import continuous_server
from txtop.worker.serving.continuous_server import PAGE_SIZE

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def serve(slots: int, prompt: int, new: int) -> Cell:
    serving = Serving(requests=4, rate=1.0, max_batch=slots)
    return Cell(id="c1", model="m", sequence_length=prompt, new_tokens=new,
                scenario="continuous", serving=serving)  # fmt: skip


def test_a_library_without_pages_is_refused_with_the_version_that_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fields of transformers 5.17.0 and of 5.18.0."""
    common = ["max_requests_per_batch", "allow_block_sharing", "auto_switch_to_flash", "num_blocks"]
    cell = serve(1, 8, 4)
    for name, refused in (("block_size", True), ("page_size", False)):
        config = dataclasses.make_dataclass("Config", [*common, name])
        monkeypatch.setattr(configuration_utils, "ContinuousBatchingConfig", config)
        if not refused:
            continuous_server.require_continuous(cell, "causal")
            continue
        with pytest.raises(RejectedError) as caught:
            continuous_server.require_continuous(cell, "causal")
        assert caught.value.hint == "transformers 5.18 or newer"


@needs_continuous
@pytest.mark.parametrize(
    ("slots", "prompt", "new", "blocks"),
    [(1, 8, 4, 1), (4, 200, 56, 4), (4, 200, 57, 8), (32, 1024, 512, 192)],
)
def test_the_kv_cache_holds_the_longest_requests_in_all_slots(
    slots: int, prompt: int, new: int, blocks: int
) -> None:
    cell = serve(slots, prompt, new)
    assert continuous_server.count_blocks(cell, CPU) == blocks + 1
    on_gpu = continuous_server.count_blocks(cell, CUDA)
    assert on_gpu > blocks and on_gpu * PAGE_SIZE < 1.3 * (blocks + 2) * PAGE_SIZE
    # With all slots but one full the scheduler still admits requests at once.
    used = blocks * (slots - 1) / slots
    assert (on_gpu - used) / on_gpu >= continuous_server.FREE_SHARE
    for device in (CPU, CUDA):
        config = continuous_server._config(cell, device)
        assert config.num_blocks == continuous_server.count_blocks(cell, device)


@pytest.mark.fault(58)
def test_a_layer_without_pages_is_refused_with_a_scenario_that_serves_it() -> None:
    from transformers import GPT2Config, MambaConfig

    continuous_server.require_pages(GPT2Config())
    with pytest.raises(RejectedError, match="linear_attention") as caught:
        continuous_server.require_pages(MambaConfig())
    assert caught.value.hint == "--scenario dynamic"
