"""Speculative decoding: the tokens of plain decoding, and drafts counted as they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from safetensors.numpy import load_file
from transformers.generation import candidate_generator

from support import tiny_models
from support.inline_worker import InlineWorker, run_inline
from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.worker.tasks.speculation import compare_with_plain
from txtop.worker.tasks.task import IterationResult, ModelInputs, make_inputs

PROMPT, NEW = 24, 30
# (length of the sequence so far, the tokens that were drafted to follow it)
Drafts = list[tuple[int, list[int]]]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[InlineWorker]:
    with run_inline(monkeypatch) as inline:
        yield inline


@pytest.fixture
def drafts(monkeypatch: pytest.MonkeyPatch) -> Drafts:
    """Every draft of the library, as it is made."""
    seen: Drafts = []

    def record(kind: Any) -> None:
        plain: Callable[..., Any] = kind.get_candidates

        def get_candidates(self: Any, input_ids: torch.Tensor, **named: Any) -> Any:
            ids, logits = plain(self, input_ids, **named)
            seen.append((input_ids.shape[1], ids[0, input_ids.shape[1] :].tolist()))
            return ids, logits

        monkeypatch.setattr(kind, "get_candidates", get_candidates)

    record(candidate_generator.PromptLookupCandidateGenerator)
    record(candidate_generator.AssistedCandidateGenerator)
    return seen


def count_by_hand(drafts: Drafts, made: list[int]) -> tuple[int, int]:
    """Return (drafted, accepted) by comparing every draft with the tokens that were made."""
    drafted = accepted = 0
    for length, draft in drafts:
        place = length - PROMPT
        possible = draft[: max(0, NEW - place - 1)]
        drafted += len(possible)
        for ours, theirs in zip(possible, made[place:], strict=False):
            if ours != theirs:
                break
            accepted += 1
    return drafted, accepted


def generate(worker: InlineWorker, inputs: ModelInputs) -> tuple[IterationResult, list[int]]:
    tokens: list[int] = []
    result = worker.loaded.task.iterate(
        inputs, True, None, lambda: None, lambda ids: tokens.extend(ids.flatten().tolist())
    )
    return result, tokens


@pytest.mark.parametrize("kind", ["prompt-lookup:10", "assistant"])
def test_the_tokens_are_those_of_plain_decoding_and_the_drafts_are_counted(
    kind: str, worker: InlineWorker, drafts: Drafts, tmp_path: Path
) -> None:
    model = tiny_models.gpt2(tmp_path / "m")
    if kind == "assistant":
        kind = f"assistant={tiny_models.gpt2(tmp_path / 'small', layers=1)}"
    cell = Cell(
        id="c1", model=str(model), device="cpu", threads=1, speculative=kind,
        sequence_length=PROMPT, new_tokens=NEW,
    )  # fmt: skip
    worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0))
    loaded = worker.loaded
    plain_cell = msgspec.structs.replace(cell, speculative="none")
    totals = [0, 0]
    for seed in range(20):
        inputs = make_inputs(cell, loaded.vocabulary, seed, loaded.device)
        plain, wanted = generate(worker, replace(inputs, cell=plain_cell))
        assert (plain.steps, plain.drafted) == (None, None)
        drafts.clear()
        result, made = generate(worker, inputs)
        assert made == wanted and result.tokens == NEW
        assert result.steps is not None and result.drafted is not None
        counted = result.drafted, result.tokens - result.steps
        assert counted == count_by_hand(drafts, made)
        totals = [sum(pair) for pair in zip(totals, counted, strict=True)]
    drafted, accepted = totals
    assert 0 < accepted < drafted, "both kinds of drafts were seen"


def test_the_check_finds_the_first_token_that_differs(worker: InlineWorker, tmp_path: Path) -> None:
    cell = Cell(
        id="c1", model=str(tiny_models.gpt2(tmp_path / "m")), device="cpu", threads=1,
        speculative="prompt-lookup:3", sequence_length=PROMPT, new_tokens=8,
    )  # fmt: skip
    worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0))
    loaded = worker.loaded
    inputs = make_inputs(cell, loaded.vocabulary, 0, loaded.device)
    equal = compare_with_plain(loaded.task, loaded.model, inputs)
    assert (equal.compared, equal.differs_at, equal.margin) == (8, None, None)

    class Faulty:
        """A task that spoils the sixth token of speculative decoding."""

        def iterate(self, inputs: ModelInputs, *rest: Any) -> IterationResult:
            *others, on_tokens = rest
            spoils = inputs.cell.speculative != "none"
            made: list[torch.Tensor] = []
            result = loaded.task.iterate(inputs, *others, lambda ids: made.append(ids.flatten()))
            ids = torch.cat(made)
            ids[5] += spoils
            on_tokens(ids)
            return result

    spoiled = compare_with_plain(Faulty(), loaded.model, inputs)  # type: ignore[arg-type]
    assert spoiled.differs_at == 5
    assert spoiled.margin is not None and spoiled.margin > 0


def test_a_cell_reports_the_check_with_its_kernels_and_steps_in_place_of_tokens(
    worker: InlineWorker, tmp_path: Path
) -> None:
    assistant = tiny_models.gpt2(tmp_path / "small", layers=1)
    cell = Cell(
        id="c1", model=str(tiny_models.gpt2(tmp_path / "m")), device="cpu", threads=1,
        speculative=f"assistant={assistant}", sequence_length=PROMPT, new_tokens=NEW,
    )  # fmt: skip
    worker.follow(
        commands.LoadModel(cell=cell, started_ns=0, seed=0),
        commands.Prepare(cell=cell),
        commands.Iterate(cell="c1", role="first", index=0),
        commands.Inspect(cell="c1"),
        commands.Iterate(cell="c1", role="measured", index=1),
    )
    (load,) = worker.of(events.ModelLoaded)
    (kernels,) = worker.of(events.Kernels)
    (checked,) = worker.of(events.Speculation)
    stored = load_file(assistant / "model.safetensors").values()
    assert load.assistant_bytes == sum(tensor.nbytes for tensor in stored)
    assert load.assistant_parameters == sum(tensor.size for tensor in stored)
    assert kernels.prefill == kernels.decode == "flash"
    assert (checked.compared, checked.differs_at) == (NEW, None)
    first, measured = worker.of(events.Iteration)
    assert first.drafted is not None and measured.drafted is None
    for iteration in (first, measured):
        gaps = [
            gap
            for event in worker.of(events.TokenTimings)
            if event.index == iteration.index
            for gap in event.gaps_ns
        ]
        assert len(gaps) == iteration.steps < iteration.tokens == NEW
        assert sum(gaps) == iteration.e2e_ns
        assert gaps[0] == iteration.ttft_ns


def test_an_assistant_with_another_vocabulary_is_refused(
    worker: InlineWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with monkeypatch.context() as smaller:
        smaller.setattr(tiny_models, "VOCABULARY", 64)
        assistant = tiny_models.gpt2(tmp_path / "small")
    cell = Cell(
        id="c1", model=str(tiny_models.gpt2(tmp_path / "m")), device="cpu", threads=1,
        speculative=f"assistant={assistant}",
    )  # fmt: skip
    worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0))
    (rejected,) = worker.of(events.CellRejected)
    assert rejected.reason == "the assistant has 64 tokens, the model 96"
