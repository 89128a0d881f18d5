"""The clock of text generation: the streamer that generate() calls once per token.

It is apart from the tasks because it needs no torch, so that tests can drive it alone.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from txtop.worker.event_writer import STEP_BATCH_NS

OnSteps = Callable[[int, list[int]], None]
OnTokens = Callable[[Any], None]


class TokenTimer:
    """The gaps in ns between steps on the host; the first, from `start()`, is the TTFT.

    A step is one token of each sequence, or with `drafts` one or more of a single sequence, which
    arrive together. `on_tokens` gets its ids, of shape (batch,), with `drafts` (1, tokens).
    `on_steps(first, gaps)` gets gaps in batches during the call; `after_step` may raise to end it.
    A hook may count passes through the model in `forwards`: if step k comes after pass k + 1,
    `late` is set and the gaps mean nothing.
    """

    def __init__(
        self,
        on_steps: OnSteps | None,
        after_step: Callable[[], None],
        on_tokens: OnTokens | None = None,
        *,
        drafts: bool = False,
    ) -> None:
        self.gaps_ns: list[int] = []
        self.tokens = 0
        self.forwards = 0
        self.late = False
        self.start_ns = 0
        self.last_ns = 0
        self._sent = 0
        self._sent_ns = 0
        self._prompt_seen = False
        self._on_steps = on_steps
        self._on_tokens = on_tokens
        self._drafts = drafts
        self._after_step = after_step

    def start(self) -> None:
        """Start the clock, right before generate()."""
        self.start_ns = self.last_ns = self._sent_ns = perf_counter_ns()

    def put(self, tokens: Any) -> None:
        """Record the tokens of one step; the first `put` of a call is the prompt."""
        now = perf_counter_ns()
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        self.gaps_ns.append(now - self.last_ns)
        self.last_ns = now
        self.tokens += tokens.shape[-1] if self._drafts else 1
        if self._on_tokens is not None:
            self._on_tokens(tokens)
        if self.forwards > len(self.gaps_ns):
            self.late = True
        if now - self._sent_ns >= STEP_BATCH_NS:
            self.flush()
        self._after_step()

    def end(self) -> None:
        """Do nothing: `flush` sends the remaining gaps after the call."""

    def flush(self) -> None:
        """Send the gaps not sent yet."""
        if self._on_steps is not None and self._sent < len(self.gaps_ns):
            self._on_steps(self._sent, self.gaps_ns[self._sent :])
        self._sent = len(self.gaps_ns)
        self._sent_ns = self.last_ns
