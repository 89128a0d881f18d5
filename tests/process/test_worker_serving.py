"""Servers over real (tiny) models: the same answers in every scenario, and cancelled servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest

from support import tiny_models
from support.library_versions import needs_continuous
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


def arrive(of: Cell, count: int) -> list[commands.Arrive]:
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


class Client:
    """An inbox with all requests in it, closed when all are answered."""

    def __init__(self, target: Cell, count: int) -> None:
        self.inbox = CommandQueue()
        self.answers: list[events.Request] = []
        self.statuses: list[events.ServerStatus] = []
        self._cell, self._left = target.id, count
        for order in arrive(target, count):
            self.inbox.accept(order)

    def tell(self, event: events.AnyEvent) -> None:
        if isinstance(event, events.ServerStatus):
            self.statuses.append(event)
        if isinstance(event, events.Request):
            self.answers.append(event)
            self._left -= 1
            if not self._left:
                self.inbox.accept(commands.Close(cell=self._cell))


def answers(
    model: Any, target: Cell, count: int, monkeypatch: pytest.MonkeyPatch
) -> dict[int, list[int]]:
    """Return the tokens of each request, which an event has as their hash alone."""
    import torch

    from txtop.worker.serving import batch_server, continuous_server
    from txtop.worker.serving.prompts import Prompts
    from txtop.worker.tasks.text_generation import TextGenerationTask

    spell = lambda tokens: " ".join(map(str, tokens))  # noqa: E731
    monkeypatch.setattr(batch_server, "hash_tokens", spell)
    monkeypatch.setattr(continuous_server, "hash_tokens", spell)
    client = Client(target, count)
    prompts = Prompts(target, tiny_models.VOCABULARY, 7)
    cpu = torch.device("cpu")
    if target.scenario == "continuous":
        continuous_server.ContinuousServer(target, model, prompts, client.inbox, client.tell).run()
    else:
        batch_server.serve_cell(
            target, TextGenerationTask(model, cpu), prompts, cpu, client.inbox, client.tell
        )
    requests = arrive(target, count)
    assert [answer.tokens for answer in client.answers] == [
        prompts.get_shape(requests[answer.index]).new_tokens for answer in client.answers
    ]
    for answer in client.answers:
        assert answer.arrival_ns <= answer.start_ns <= (answer.first_ns or 0) <= answer.end_ns
        assert len(answer.gaps_ns) == answer.tokens - 1
        assert (answer.first_ns or 0) + sum(answer.gaps_ns) == answer.end_ns
    assert client.statuses[-1].waiting == 0 and client.statuses[-1].running == []
    return {
        answer.index: [int(word) for word in answer.output_sha256.split()]
        for answer in client.answers
    }


def tied(model: Any, prompt: list[int], before: list[int]) -> bool:
    """Return True if the two likeliest next tokens are nearly equal."""
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([prompt + before])).logits[0, -1]
    best = logits.topk(2).values
    return bool(best[0] - best[1] < CLOSE)


@pytest.mark.parametrize(
    "scenario", ["dynamic", pytest.param("continuous", marks=needs_continuous)]
)
def test_every_request_gets_the_same_answer_as_alone(
    gpt2: Path, model: Any, monkeypatch: pytest.MonkeyPatch, scenario: Scenario
) -> None:
    from txtop.worker.serving.prompts import Prompts

    alone = answers(model, cell(gpt2, "single"), 12, monkeypatch)
    together = answers(model, cell(gpt2, scenario), 12, monkeypatch)
    assert alone.keys() == together.keys() == set(range(12))
    assert len(set(map(tuple, alone.values()))) > 6
    prompts = Prompts(cell(gpt2, scenario), tiny_models.VOCABULARY, 7)
    requests = arrive(cell(gpt2, scenario), 12)
    for index, mine in alone.items():
        assert len(mine) == len(together[index])
        pairs = list(zip(mine, together[index], strict=True))
        first_difference = next((i for i, (a, b) in enumerate(pairs) if a != b), None)
        if first_difference is not None:
            assert tied(model, prompts.find(requests[index]).ids.tolist(), mine[:first_difference])


@needs_continuous
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


@needs_continuous
def test_the_manager_gives_up_at_once(gpt2: Path, model: Any) -> None:
    from txtop.worker.serving import continuous_server
    from txtop.worker.serving.prompts import Prompts

    target = cell(gpt2, "continuous")
    client = Client(target, 12)
    server = continuous_server.ContinuousServer(
        target, model, Prompts(target, tiny_models.VOCABULARY, 7), client.inbox, client.tell
    )
    client.inbox.accept(commands.Cancel(cell=target.id))
    with pytest.raises(Cancelled):
        server.run()
    assert model.config._attn_implementation == "sdpa"


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess("w1")
    yield process
    assert process.close() == 0


def serve(worker: WorkerProcess, target: Cell, count: int) -> list[events.Request]:
    """Serve one whole cell in a worker and return its requests."""
    start = len(worker.seen)
    worker.send(
        commands.Prepare(cell=target), commands.Serve(cell=target.id), *arrive(target, count)
    )
    for _ in range(count):
        worker.until(events.Request)
    worker.send(commands.Close(cell=target.id), commands.Finish(cell=target.id))
    worker.until(events.Memory)
    return of(events.Request, worker.seen[start:])


@needs_continuous
def test_a_worker_serves_one_cell_after_another_and_batches_in_between(
    worker: WorkerProcess, gpt2: Path
) -> None:
    worker.load(cell(gpt2, "single"))
    single = serve(worker, cell(gpt2, "single", name="c1"), 12)
    joined = serve(worker, cell(gpt2, "continuous", name="c2"), 12)
    plain = Cell(id="c3", model=str(gpt2), sequence_length=12, new_tokens=8)
    worker.measure(plain)
    batched = serve(worker, cell(gpt2, "dynamic", name="c4"), 12)
    assert [request.batch for request in single] == [1] * 12
    assert {request.batch for request in joined} == {0}
    assert [request.batch for request in batched] == [4] * 12
    assert all(request.computed >= request.prompt_tokens + request.tokens for request in batched)
    assert any(request.computed > request.prompt_tokens + request.tokens for request in batched)
    prompts = [
        {request.index: request.prompt_tokens for request in served} for served in (single, joined)
    ]
    assert prompts[0] == prompts[1]
    prepared = [event.inputs_sha256 for event in of(events.Workload, worker.seen)]
    assert prepared[0] == prepared[1] == prepared[3] != prepared[2]


@needs_continuous
def test_a_server_that_is_given_up_leaves_the_worker_usable(
    worker: WorkerProcess, gpt2: Path
) -> None:
    worker.load(cell(gpt2, "continuous"))
    for scenario in ("continuous", "dynamic"):
        long = Serving(requests=500, max_batch=2, concurrency=2)
        target = cell(gpt2, scenario, long)  # type: ignore[arg-type]
        worker.send(commands.Prepare(cell=target), commands.Serve(cell="c1"), *arrive(target, 400))
        worker.until(events.Request)
        start = len(worker.seen)
        worker.send(commands.Cancel(cell="c1"))
        worker.until(events.Phase, where=lambda event: event.name == "idle")
        assert len(of(events.Request, worker.seen[start:])) < 399
        worker.send(commands.Finish(cell="c1"))
        worker.until(events.Memory)
    assert len(serve(worker, cell(gpt2, "single"), 12)) == 12


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_encoders_and_encoder_decoders_are_served_in_batches(
    worker: WorkerProcess, tmp_path: Path, family: str
) -> None:
    directory = getattr(tiny_models, family)(tmp_path / family)
    target = cell(directory, "dynamic")
    worker.load(target)
    requests = serve(worker, target, 12)
    assert {request.index for request in requests} == set(range(12))
    if family == "bert":
        assert {(request.tokens, request.first_ns) for request in requests} == {(0, None)}
    else:
        assert all(request.first_ns is not None and request.tokens for request in requests)
    refused = cell(directory, "continuous", name="c2")
    worker.send(commands.Prepare(cell=refused))
    assert "for decoders" in worker.until(events.CellRejected).reason
