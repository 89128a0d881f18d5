"""The streamer that generate() calls once a token: the clock of text generation. No torch here."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from txtop.worker.event_writer import STEP_BATCH_NS

OnSteps = Callable[[int, list[int]], None]
OnTokens = Callable[[Any], None]


class TokenTimer:
    """Gaps in ns between tokens on the host; the first, from `start()`, is the TTFT.

    `on_tokens` gets what was put, ids of shape (batch,). `on_steps(first, gaps)` gets gaps in
    batches while the call is still going on; `after_step` may raise to end it. `forwards`, where a
    hook counts the passes through the model, tells whether token k came after pass k or later: the
    clock then lags and its gaps mean nothing.
    """

    def __init__(
        self,
        on_steps: OnSteps | None,
        after_step: Callable[[], None],
        on_tokens: OnTokens | None = None,
    ) -> None:
        self.gaps_ns: list[int] = []
        self.forwards = 0
        self.late = False
        self.start_ns = 0
        self.last_ns = 0
        self._sent = 0
        self._sent_ns = 0
        self._prompt_seen = False
        self._on_steps = on_steps
        self._on_tokens = on_tokens
        self._after_step = after_step

    def start(self) -> None:
        """Call right before generate()."""
        self.start_ns = self.last_ns = self._sent_ns = perf_counter_ns()

    def put(self, tokens: Any) -> None:
        """One token of every sequence is on the host; the first put of a call is the prompt."""
        now = perf_counter_ns()
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.gaps_ns.append(now - self.last_ns)
        self.last_ns = now
        if self._on_tokens is not None:
            self._on_tokens(tokens)
        if self.forwards > len(self.gaps_ns):
            self.late = True
        if now - self._sent_ns >= STEP_BATCH_NS:
            self.flush()
        self._after_step()

    def end(self) -> None:
        """generate() is through; the rest is sent by `flush`, after the call."""

    def flush(self) -> None:
        """Sends the gaps not sent yet."""
        if self._on_steps is not None and self._sent < len(self.gaps_ns):
            self._on_steps(self._sent, self.gaps_ns[self._sent :])
        self._sent = len(self.gaps_ns)
        self._sent_ns = self.last_ns
