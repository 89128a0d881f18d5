"""Prompts of a file as token ids: by the model's tokenizer and chat template, once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from support import tiny_models
from support.inline_worker import InlineWorker
from support.library_versions import needs_continuous
from txtop.plan.cell import Cell
from txtop.plan.prompt_file import parse_prompt_file
from txtop.plan.serving import Serving
from txtop.protocol import commands, events
from txtop.worker.serving import continuous_server

TEXTS = ["w7 w8 w9", "w10", "w11 w12 w13 w14 w15", "w20 w21"]


def build_cell(model: Path, *lines: Any, name: str = "p.jsonl", **knobs: Any) -> Cell:
    path = model / name
    texts = (line if name.endswith(".txt") else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts), encoding="utf-8")
    file = parse_prompt_file("--prompts", str(path))
    return Cell(**{"id": "c1", "model": str(model), "new_tokens": 2, "prompts": file} | knobs)


def start(worker: InlineWorker, cell: Cell) -> None:
    """Load and prepare `cell`."""
    worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0), commands.Prepare(cell=cell))


def measure(worker: InlineWorker, cell: Cell, count: int) -> list[events.Iteration]:
    worker.follow(
        commands.Iterate(cell=cell.id, role="first", index=0),
        commands.Iterate(cell=cell.id, role="measured", index=1, count=count),
    )
    return worker.of(events.Iteration)


def count_tokens(model: Path, texts: list[str]) -> list[int]:
    """Tokenise with the library that transformers wraps, without transformers."""
    from tokenizers import Tokenizer

    alone = Tokenizer.from_file(str(model / "tokenizer.json"))
    return [len(alone.encode(text, add_special_tokens=True).ids) for text in texts]


def get_ids(worker: InlineWorker) -> list[list[int]]:
    """Return the ids of all batches, row by row, without padding."""
    return [
        row[mask.bool()].tolist()
        for batch in worker._worker._batches
        for row, mask in zip(batch.ids, batch.mask, strict=True)
    ]


def test_the_log_counts_the_tokens_of_an_independent_tokenisation(
    worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    cell = build_cell(model, *TEXTS, name="p.txt")
    start(worker, cell)
    (workload,) = worker.of(events.Workload)
    assert workload.prompt_tokens == count_tokens(model, TEXTS) == [4, 2, 6, 3]
    assert workload.new_tokens == []
    first, *measured = measure(worker, cell, 8)
    # The longest warms up; then each prompt once in every round.
    assert first.prompt_tokens == 6
    rounds = [[i.prompt_tokens for i in measured[at : at + 4]] for at in (0, 4)]
    assert rounds[0] == rounds[1] and sorted(rounds[0], key=int) == [2, 3, 4, 6]
    assert [i.padded_to for i in measured] == [i.prompt_tokens for i in measured]
    assert {i.tokens for i in measured} == {2}
    worker.follow(commands.Iterate(cell=cell.id, role="measured", index=9, count=2, batch=1))
    again = [i.prompt_tokens for i in worker.of(events.Iteration)]
    assert again == rounds[0][1:3]


@pytest.mark.parametrize("template", [True, False])
def test_a_chat_template_is_applied_once_with_one_start(
    template: bool, worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"), template=template)
    lines = [{"text": "w8 w9"}, {"messages": [{"role": "user", "content": "w10"}]}]
    cell = build_cell(model, *lines)
    start(worker, cell)
    written = [[0, 3, 8, 9, 6, 4], [0, 3, 10, 6, 4]] if template else [[0, 8, 9], [0, 10]]
    assert sorted(get_ids(worker)) == sorted(written)
    (workload,) = worker.of(events.Workload)
    applied = "the chat template is applied" if template else "no chat template is applied"
    assert any(applied in note for note in workload.notes)
    start(worker, msgspec.structs.replace(cell, chat_template="off"))
    assert sorted(get_ids(worker)) == [[0, 8, 9], [0, 10]]


def test_a_batch_is_padded_as_its_prompts_come_and_counts_only_their_tokens(
    worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    lines = [{"text": text, "max_new_tokens": 3 + i} for i, text in enumerate(TEXTS[:3])]
    cell = build_cell(model, *lines, batch_size=2)
    start(worker, cell)
    (workload,) = worker.of(events.Workload)
    assert workload.new_tokens == [3, 4, 5]
    batches = worker._worker._batches
    # Three prompts fill two batches: the last one is filled up from the beginning.
    assert len(batches) == 2 and get_ids(worker)[3] == get_ids(worker)[0]
    for batch, event in zip(batches, measure(worker, cell, 2)[1:], strict=True):
        assert event.prompt_tokens == int(batch.mask.sum())
        assert event.padded_to == batch.ids.shape[1] == int(batch.mask.sum(1).max())
        assert batch.mask[:, -1].all(), "padded on the left"
        assert event.tokens == batch.cell.new_tokens
    assert max(e.tokens for e in worker.of(events.Iteration)) == 5


@pytest.mark.parametrize("kind", ["bert", "t5"])
def test_other_families_are_padded_on_the_right_and_have_no_template(
    kind: str, worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(getattr(tiny_models, kind)(tmp_path / kind), template=True)
    cell = build_cell(model, *TEXTS, name="p.txt", batch_size=4)
    start(worker, cell)
    (batch,) = worker._worker._batches
    assert batch.mask[:, 0].all() and not batch.mask[:, -1].all()
    assert sorted(map(len, get_ids(worker))) == [2, 3, 4, 6]
    (event,) = measure(worker, cell, 1)[1:]
    assert (event.prompt_tokens, event.padded_to) == (15, 6)


def test_a_prompt_that_is_too_long_is_refused_by_line_before_weights_are_read(
    worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    long = " ".join(["w9"] * (tiny_models.POSITIONS - 2))
    fits = build_cell(model, long, name="p.txt", new_tokens=1)
    start(worker, fits)
    assert worker.of(events.Workload)
    over = build_cell(model, "w9", long, "w9", long + " w9", name="p.txt", new_tokens=2)
    start(worker, over)
    refused = worker.of(events.CellRejected)[0]
    assert refused.reason == (
        f"--prompts {over.prompts}, line 2: 63 tokens + 2 new are longer than the context of"
        " gpt2 (64), as are 1 more"
    )
    assert refused.hint == "shorten or leave out lines 2, 4, or fewer --new-tokens"
    assert "weights" not in {phase.name for phase in worker.of(events.Phase)}


def test_a_file_that_changed_is_refused_and_may_be_tried_again(
    worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    cell = build_cell(model, *TEXTS, name="p.txt")
    build_cell(model, *TEXTS, "w5", name="p.txt")
    start(worker, cell)
    refused = worker.of(events.CellRejected)[0]
    assert "has changed since" in refused.reason and refused.may_pass


def test_a_model_without_a_tokenizer_is_refused(worker: InlineWorker, tmp_path: Path) -> None:
    start(worker, build_cell(tiny_models.gpt2(tmp_path / "gpt2"), *TEXTS, name="p.txt"))
    refused = worker.of(events.CellRejected)[0]
    assert "needs" in refused.reason and "tokenizer.json" in refused.hint


def test_turns_are_requests_and_conversations_take_turns(
    worker: InlineWorker, tmp_path: Path
) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"), template=True)
    chats = [
        {"messages": [{"role": "user", "content": f"w{10 * n}"},
                      {"role": "assistant", "content": f"w{10 * n + 1}"},
                      {"role": "user", "content": f"w{10 * n + 2}"}]}
        for n in (1, 2, 3)
    ]  # fmt: skip
    serving = Serving(requests=6, max_batch=2, concurrency=2)
    cell = build_cell(model, *chats, scenario="dynamic", serving=serving)
    start(worker, cell)
    (workload,) = worker.of(events.Workload)
    assert workload.prompt_tokens == [5, 11] * 3
    prompts = worker._worker._prompts
    assert prompts is not None

    def find(index: int, role: Any = "measured") -> list[int]:
        request = commands.Arrive(cell="c1", index=index, role=role, arrival_ns=0, sent_ns=0)
        return list(prompts.find(request).ids.tolist())

    order = [find(i) for i in range(6)]
    # Two are under way at a time: both begin, both go on; the third then has its two turns.
    assert [len(ids) for ids in order] == [5, 5, 11, 11, 5, 11]
    assert [order[i + 2][:3] for i in (0, 1)] == [order[0][:3], order[1][:3]]
    # Warm-up takes the other end.
    assert find(0, "warmup") == order[5] and find(6) == order[0]


def test_outputs_are_compared_on_the_same_prompts(worker: InlineWorker, tmp_path: Path) -> None:
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    cell = build_cell(model, *TEXTS, name="p.txt")
    start(worker, cell)
    order = get_ids(worker)
    other = msgspec.structs.replace(cell, id="c2", precision="bf16")
    for positions, kept in ((2048, order), (len(order[0]) - 1, order[:1])):
        worker.follow(
            commands.Compare(cell=other, reference=cell, positions=positions, started_ns=0, seed=0)
        )
        (event,) = worker.of(events.Fidelity)
        digest = hashlib.sha256()
        for ids in kept:
            digest.update(np.array(ids[:-1], dtype=np.int64).tobytes())
        assert event.input_sha256 == digest.hexdigest() and event.text
        assert event.positions == sum(len(ids) - 1 for ids in kept)
        assert "compared on p.txt" in event.notes and event.kld is not None
    assert not any("positions, not" in note for note in event.notes)


@needs_continuous
def test_a_prefix_cache_has_the_whole_blocks_that_prompts_begin_with(
    worker: InlineWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continuous_server, "PAGE_SIZE", 8)
    model = tiny_models.tokenizer(tiny_models.gpt2(tmp_path / "gpt2"))
    prefix = " ".join(f"w{i}" for i in range(10, 29)) + " "
    lines = [{"text": f"w{40 + i} w{50 + i} w9", "prefix": prefix} for i in range(4)]
    serving = Serving(requests=4, max_batch=1, concurrency=1)
    served = {}
    for kept in ("off", "on"):
        cell = build_cell(model, *lines, scenario="continuous", serving=serving, prefix_cache=kept)
        start(worker, cell)
        for i in range(4):
            worker._worker._inbox.accept(
                commands.Arrive(cell="c1", index=i, role="measured", arrival_ns=0, sent_ns=0)
            )
        worker._worker._inbox.accept(commands.Close(cell="c1"))
        worker.follow(commands.Serve(cell="c1"))
        served[kept] = sorted(worker.of(events.Request), key=lambda request: request.index)
    assert {request.prompt_tokens for request in served["on"]} == {23}
    assert [request.cached for request in served["off"]] == [0] * 4
    # The start and 19 words are two whole blocks of 8 and a part of the third.
    assert [request.cached for request in served["on"]] == [0, 16, 16, 16]
    assert [request.computed for request in served["on"]] == [25, 9, 9, 9]
    # What is made does not depend on it.
    texts = [[request.output_sha256 for request in served[kept]] for kept in ("off", "on")]
    assert texts[0] == texts[1]
