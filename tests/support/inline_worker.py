"""A worker in the process of the test, for what needs a model but no process of its own."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from txtop.protocol import events
from txtop.worker.command_queue import CommandQueue
from txtop.worker.event_writer import EventWriter
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.worker import Worker

E = TypeVar("E", bound=events.Event)


class InlineWorker:
    """A worker that follows commands at once; `sent` are its events."""

    def __init__(self, worker: Worker) -> None:
        self.sent: list[events.AnyEvent] = []
        self._worker = worker
        worker._emitter.send = self.sent.append  # type: ignore[method-assign]

    def follow(self, *orders: Any) -> None:
        """Run the commands in turn; `sent` are then the events of these alone."""
        self.sent.clear()
        for order in orders:
            self._worker._follow(order)

    def of(self, kind: type[E]) -> list[E]:
        """Return the events of a kind."""
        return [event for event in self.sent if isinstance(event, kind)]

    @property
    def loaded(self) -> LoadedModel:
        return self._worker._ready()


@contextmanager
def run_inline(monkeypatch: pytest.MonkeyPatch) -> Iterator[InlineWorker]:
    """Give a worker, and take its environment and frozen objects back."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "HF_HUB_OFFLINE", "TQDM_DISABLE"):
        monkeypatch.setenv(name, "1")
    # The worker collects after each load: a pass over what the tests before imported takes longer.
    gc.freeze()
    monkeypatch.setattr("gc.freeze", lambda: None)
    output = os.open(os.devnull, os.O_WRONLY)
    yield InlineWorker(Worker("worker", EventWriter(output, "worker"), CommandQueue()))
    os.close(output)
