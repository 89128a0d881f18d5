"""A server over generate() or a forward pass that runs whole batches, one after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

import torch

from txtop.plan.cell import Cell
from txtop.protocol import commands, events
from txtop.units import NS_PER_MS
from txtop.worker.serving.batcher import (
    Batcher,
    CommandSource,
    RequestQueue,
    StatusReporter,
    serve_batches,
)
from txtop.worker.serving.prompts import Prompts, hash_tokens
from txtop.worker.serving.request_event import build_request_event
from txtop.worker.tasks.task import IterationResult, Task


def serve_cell(
    cell: Cell,
    task: Task,
    prompts: Prompts,
    device: torch.device,
    source: CommandSource,
    tell: Callable[[events.AnyEvent], None],
) -> None:
    """Serve `cell` until it is closed.

    Raises `Cancelled`, and whatever the model raises.
    """
    assert cell.serving is not None
    slots = cell.slots
    wait_ns = 0 if cell.scenario == "single" else round(cell.serving.max_wait_ms * NS_PER_MS)
    queue = RequestQueue(cell.id, source)
    status = StatusReporter(cell.id, slots, tell, perf_counter_ns)

    def answer(batch: list[commands.Arrive]) -> None:
        RequestBatch(task, prompts, batch, queue, status, tell, source.check).run(device)

    serve_batches(queue, Batcher(slots, wait_ns), status, answer, perf_counter_ns)


@dataclass
class RequestBatch:
    """Requests that are answered together.

    A request ends with its own last token, although the batch runs until the longest has ended.
    `times_ns` and `steps` hold the time and the token ids, of shape (batch,), of every step; `over`
    holds the rows that are reported.
    """

    task: Task
    prompts: Prompts
    requests: list[commands.Arrive]
    queue: RequestQueue
    status: StatusReporter
    tell: Callable[[events.AnyEvent], None]
    check: Callable[[], None]
    start_ns: int = 0
    times_ns: list[int] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    over: set[int] = field(default_factory=set)

    def run(self, device: torch.device) -> None:
        """Run the batch on `device` and report every request."""
        self.start_ns = perf_counter_ns()
        inputs = self.prompts.build_batch(self.requests, device, left=not self.task.encodes)
        self._width, self._longest = inputs.cell.sequence_length, inputs.cell.new_tokens
        if self.status.due():
            self._send_status()
        warm = any(request.role != "measured" for request in self.requests)
        result = self.task.iterate(inputs, warm, None, self._after_step, self._on_tokens)
        self._finish(result)

    def _on_tokens(self, tokens: Any) -> None:
        self.times_ns.append(perf_counter_ns())
        self.steps.append(tokens)

    def _after_step(self) -> None:
        self.check()
        if self.task.encodes or self.task.lags:
            return
        done = len(self.times_ns)
        for row, request in enumerate(self.requests):
            if row not in self.over and done == self._wanted(row) and done < self._longest:
                self._answer(row, request, self.times_ns[-1])
        if self.status.due():
            self.queue.take(0)
            self._send_status()

    def _finish(self, result: IterationResult) -> None:
        """Report the requests that are still open.

        A streamer that is a step late gives no token times.
        """
        if self.task.lags:
            self.times_ns = []
        end_ns = result.start_ns + result.e2e_ns
        invalid = result.invalid
        for row, request in enumerate(self.requests):
            if row not in self.over:
                self._answer(row, request, end_ns, invalid)
                invalid = 0

    def _wanted(self, row: int) -> int:
        return self.prompts.get_shape(self.requests[row]).new_tokens

    def _answer(self, row: int, request: commands.Arrive, end_ns: int, invalid: int = 0) -> None:
        """Report the request in `row`, ended at its last token, else at `end_ns`."""
        self.over.add(row)
        shape = self.prompts.get_shape(request)
        tokens = 0 if self.task.encodes else shape.new_tokens
        self.tell(
            build_request_event(
                request,
                shape,
                start_ns=self.start_ns,
                times_ns=self.times_ns[:tokens],
                end_ns=end_ns,
                computed=self._width + (0 if self.task.encodes else self._longest),
                tokens=tokens,
                batch=len(self.requests),
                lag=self.task.lags,
                invalid=invalid,
                output_sha256=self._digest(row, tokens),
            )
        )

    def _digest(self, row: int, tokens: int) -> str:
        if not tokens or len(self.steps) < tokens:
            return ""
        return hash_tokens([int(step[row]) for step in self.steps[:tokens]])

    def _send_status(self) -> None:
        done = len(self.times_ns)
        running = [
            (request.index, min(done, self._wanted(row)), self._wanted(row))
            for row, request in enumerate(self.requests)
            if row not in self.over
        ]
        self.status.tell(len(self.queue.waiting), running)
