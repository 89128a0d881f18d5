"""Workers that stay loaded beside one another, as far as the memory reaches."""

from __future__ import annotations

from dataclasses import dataclass, field

from txtop.forecast import memory_fit
from txtop.plan.cell import Cell
from txtop.runner.child_process import ChildProcess
from txtop.runner.worker_client import WorkerClient

# Beside others an idle one costs its memory, which is looked at; loaded anew it costs seconds.
MAX_WORKERS = 24
GRACE_S = 1.0


@dataclass
class PooledWorker:
    """A worker, a cell whose weights it holds, the cell prepared, and those it is warm for."""

    cell: Cell
    process: ChildProcess
    prepared: str = ""
    warm: set[str] = field(default_factory=set)


class WorkerPool:
    """Keep workers by key, the one used last at the end.

    `evictions` counts those that had to go.
    """

    def __init__(self, client: WorkerClient) -> None:
        self._client = client
        self._workers: dict[str, PooledWorker] = {}
        self.evictions = 0

    @property
    def keys(self) -> list[str]:
        """Return the keys of the loaded workers, the one used last first."""
        return [*reversed(self._workers)]

    def take(self, key: str) -> PooledWorker | None:
        """Return the worker of `key`, None if it is not loaded or has died."""
        pooled = self._workers.pop(key, None)
        if pooled is None:
            return None
        if pooled.process.gone or pooled.process.process.poll() is not None:
            pooled.process.end()
            return None
        self._workers[key] = pooled
        return pooled

    def start(self, key: str, cell: Cell) -> PooledWorker:
        """Start a worker for `cell`, after ending those that leave it no room."""
        self._make_room(cell)
        pooled = PooledWorker(cell, self._client.start_worker())
        self._workers[key] = pooled
        return pooled

    def _make_room(self, cell: Cell) -> None:
        state = self._client.recorder.state
        while len(self._workers) >= MAX_WORKERS:
            self._evict()
        if not self._workers:
            return
        newest = next(reversed(self._workers.values()))
        shortage = memory_fit.find_memory_shortage(state, newest.cell, cell)
        missing = 0 if shortage is None else shortage[0] - shortage[1]
        while missing > 0 and self._workers:
            oldest = next(iter(self._workers.values()))
            forecast = memory_fit.forecast_cell(state, oldest.cell)
            missing -= forecast.needed_bytes if forecast is not None else 1 << 29
            self._evict()

    def _evict(self) -> None:
        self.evictions += 1
        self.end(next(iter(self._workers)))

    def drop(self, key: str) -> PooledWorker:
        """Forget the worker of `key`, and return it, dead or alive."""
        return self._workers.pop(key)

    def end(self, key: str, grace_s: float = GRACE_S) -> None:
        """End the worker of `key`."""
        self.drop(key).process.end(grace_s)

    def end_all(self, grace_s: float = GRACE_S) -> None:
        """End every worker."""
        for key in list(self._workers):
            self.end(key, grace_s)
