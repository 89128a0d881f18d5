"""Servers over real (tiny) models: the same answers in every scenario, and how they give up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from support import tiny_models
from support.worker_process import WorkerProcess, of
from txtop.plan.cell import Cell
from txtop.plan.serving import Scenario, Serving
from txtop.protocol import commands, events
from txtop.worker.command_queue import Cancelled, CommandQueue

MIXED = Serving(requests=12, max_batch=4, max_wait_ms=5, lengths="uniform", concurrency=4)
CLOSE = 1e-3


def cell(directory: Path, scenario: Scenario, serving: Serving = MIXED, name: str = "c1") -> Cell:
    return Cell(
        id=name,
        model=str(directory),
        sequence_length=12,
        new_tokens=8,
        scenario=scenario,
        serving=serving,
    )


def arrive(of: Cell, count: int) -> list[commands.WorkerCommand]:
    now = perf_counter_ns()
    return [
        commands.Arrive(cell=of.id, index=i, role="measured", arrival_ns=now, sent_ns=now)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.gpt2(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="module")
def model(gpt2: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(gpt2, attn_implementation="sdpa").eval()


class Told:
    """An inbox whose requests have all come, that is closed when all are answered."""

    def __init__(self, asked: Cell, count: int) -> None:
        self.inbox = CommandQueue()
        self.answers: list[events.Request] = []
        self.lanes: list[events.ServerStatus] = []
        self._cell, self._left = asked.id, count
        for order in arrive(asked, count):
            self.inbox.accept(order)

    def tell(self, event: events.AnyEvent) -> None:
        if isinstance(event, events.ServerStatus):
            self.lanes.append(event)
        if isinstance(event, events.Request):
            self.answers.append(event)
            self._left -= 1
            if not self._left:
                self.inbox.accept(commands.Close(cell=self._cell))


def answers(
    model: Any, asked: Cell, count: int, monkeypatch: pytest.MonkeyPatch
) -> dict[int, list[int]]:
    """The tokens of each request, which an event has as their hash alone."""
    import torch

    from txtop.worker.serving import batch_server as serving
    from txtop.worker.serving import continuous_server
    from txtop.worker.serving.prompts import Prompts
    from txtop.worker.tasks.text_generation import TextGenerationTask

    spell = lambda tokens: " ".join(map(str, tokens))  # noqa: E731
    monkeypatch.setattr(serving, "hash_tokens", spell)
    monkeypatch.setattr(continuous_server, "hash_tokens", spell)
    told = Told(asked, count)
    prompts = Prompts(asked, tiny_models.VOCABULARY, 7)
    cpu = torch.device("cpu")
    if asked.scenario == "continuous":
        continuous_server.ContinuousServer(asked, model, prompts, told.inbox, told.tell).run()
    else:
        serving.serve_cell(
            asked, TextGenerationTask(model, cpu), prompts, cpu, told.inbox, told.tell
        )
    assert [each.tokens for each in told.answers] == [
        prompts.get_shape(each.index).new_tokens for each in told.answers
    ]
    for each in told.answers:
        assert each.arrival_ns <= each.start_ns <= (each.first_ns or 0) <= each.end_ns
        assert len(each.gaps_ns) == each.tokens - 1
        assert (each.first_ns or 0) + sum(each.gaps_ns) == each.end_ns
    assert told.lanes[-1].waiting == 0 and told.lanes[-1].running == []
    return {each.index: [int(word) for word in each.output_sha256.split()] for each in told.answers}


def tied(model: Any, prompt: list[int], before: list[int]) -> bool:
    """Whether the two likeliest tokens after that are next to equal."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([prompt + before])).logits[0, -1]
    best = logits.topk(2).values
    return bool(best[0] - best[1] < CLOSE)


@pytest.mark.parametrize("scenario", ["dynamic", "continuous"])
def test_every_request_gets_the_same_answer_as_alone(
    gpt2: Path, model: Any, monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    from txtop.worker.serving.prompts import Prompts

    alone = answers(model, cell(gpt2, "single"), 12, monkeypatch)
    together = answers(model, cell(gpt2, scenario), 12, monkeypatch)
    assert alone.keys() == together.keys() == set(range(12))
    assert len(set(map(tuple, alone.values()))) > 6
    prompts = Prompts(cell(gpt2, scenario), tiny_models.VOCABULARY, 7)
    for index, mine in alone.items():
        assert len(mine) == len(together[index])
        pairs = list(zip(mine, together[index], strict=True))
        parting = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        if parting is not None:
            assert tied(model, prompts.ids(index).tolist(), mine[:parting])


def test_what_breaks_the_manager_is_what_is_raised(
    gpt2: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from txtop.worker import failures

    def starve(*_: Any, **__: Any) -> Any:
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 GiB"
        )

    monkeypatch.setattr(model, "forward", starve)
    with pytest.raises(RuntimeError, match="can't allocate") as caught:
        answers(model, cell(gpt2, "continuous"), 12, monkeypatch)
    assert failures.classify(caught.value).status == "oom"


def test_the_manager_gives_up_at_once(gpt2: Path, model: Any) -> None:
    from txtop.worker.serving import continuous_server
    from txtop.worker.serving.prompts import Prompts

    asked = cell(gpt2, "continuous")
    told = Told(asked, 12)
    server = continuous_server.ContinuousServer(
        asked, model, Prompts(asked, tiny_models.VOCABULARY, 7), told.inbox, told.tell
    )
    told.inbox.accept(commands.Cancel(cell=asked.id))
    with pytest.raises(Cancelled):
        server.run()
    assert model.config._attn_implementation == "sdpa"


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess("w1")
    yield process
    assert process.close() == 0


def serve(worker: WorkerProcess, asked: Cell, count: int) -> list[events.Request]:
    """One whole serving cell in a worker."""
    start = len(worker.seen)
    worker.send(commands.Prepare(cell=asked), commands.Serve(cell=asked.id), *arrive(asked, count))
    for _ in range(count):
        worker.until(events.Request)
    worker.send(commands.Close(cell=asked.id), commands.Finish(cell=asked.id))
    worker.until(events.Memory)
    return of(events.Request, worker.seen[start:])


def test_a_worker_serves_one_cell_after_another_and_batches_in_between(
    worker: WorkerProcess, gpt2: Path
) -> None:
    worker.load(cell(gpt2, "single"))
    single = serve(worker, cell(gpt2, "single", name="c1"), 12)
    joined = serve(worker, cell(gpt2, "continuous", name="c2"), 12)
    plain = Cell(id="c3", model=str(gpt2), sequence_length=12, new_tokens=8)
    worker.measure(plain)
    batched = serve(worker, cell(gpt2, "dynamic", name="c4"), 12)
    assert [each.batch for each in single] == [1] * 12
    assert {each.batch for each in joined} == {0}
    assert [each.batch for each in batched] == [4] * 12
    assert all(each.computed >= each.prompt_tokens + each.tokens for each in batched)
    assert any(each.computed > each.prompt_tokens + each.tokens for each in batched)
    prompts = [{each.index: each.prompt_tokens for each in found} for found in (single, joined)]
    assert prompts[0] == prompts[1]
    prepared = [event.inputs_sha256 for event in of(events.Workload, worker.seen)]
    assert prepared[0] == prepared[1] == prepared[3] != prepared[2]


def test_a_server_that_is_given_up_leaves_the_worker_usable(
    worker: WorkerProcess, gpt2: Path
) -> None:
    worker.load(cell(gpt2, "continuous"))
    for scenario in ("continuous", "dynamic"):
        long = Serving(requests=500, max_batch=2, concurrency=2)
        asked = cell(gpt2, scenario, long)  # type: ignore[arg-type]
        worker.send(commands.Prepare(cell=asked), commands.Serve(cell="c1"), *arrive(asked, 400))
        worker.until(events.Request)
        began = time.monotonic()
        worker.send(commands.Cancel(cell="c1"))
        worker.until(events.Phase, where=lambda event: event.name == "idle")
        assert time.monotonic() - began < 5
        worker.send(commands.Finish(cell="c1"))
        worker.until(events.Memory)
    assert len(serve(worker, cell(gpt2, "single"), 12)) == 12


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_encoders_and_encoder_decoders_are_served_in_batches(
    worker: WorkerProcess, tmp_path: Path, family: str
) -> None:
    directory = getattr(tiny_models, family)(tmp_path / family)
    asked = cell(directory, "dynamic")
    worker.load(asked)
    found = serve(worker, asked, 12)
    assert {each.index for each in found} == set(range(12))
    if family == "bert":
        assert {(each.tokens, each.first_ns) for each in found} == {(0, None)}
    else:
        assert all(each.first_ns is not None and each.tokens for each in found)
    refused = cell(directory, "continuous", name="c2")
    worker.send(commands.Prepare(cell=refused))
    assert "for decoders" in worker.until(events.CellRejected).reason
