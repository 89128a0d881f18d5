"""The sampler of a run: started with it, replaced when it dies, ended with it."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from txtop import events
from txtop.runner import children
from txtop.runner.children import Child
from txtop.runner.recorder import Recorder, now_ns
from txtop.runner.wires import Wires

AGAIN_S = 30.0
NAME = "sampler"


class Watch:
    """Used from the conductor's thread: PR_SET_PDEATHSIG follows the thread that spawns.

    Without a `command` nothing is watched. `screens` are pids whose cost is recorded too.
    """

    def __init__(
        self,
        command: Sequence[str] | None,
        screens: Mapping[str, int],
        wires: Wires,
        recorder: Recorder,
    ) -> None:
        self._command, self._screens = command, screens
        self._wires, self._recorder = wires, recorder
        self._sampler: Child | None = None
        self._due_s: float | None = None

    def owns(self, child: Child) -> bool:
        """Whether `child` is a sampler; one that is being ended may still speak."""
        return child.name == NAME

    def start(self) -> None:
        """Starts a sampler that watches this machine and what txtop itself costs."""
        if self._command is None:
            return
        self._sampler = children.start(NAME, self._command)
        self._wires.add(self._sampler)
        watched = {"runner": os.getpid(), "sampler": self._sampler.process.pid}
        for label, pid in {**watched, **self._screens}.items():
            self._sampler.write(f"watch {label}={pid}\n".encode())

    def lost(self) -> None:
        """Its output has ended: a gap, and a fresh one after a while."""
        sampler, self._sampler = self._sampler, None
        if sampler is None:
            return
        self._due_s = time.monotonic() + AGAIN_S
        ended = children.exit_words(sampler.end())
        reason = f"the sampler {ended}; a fresh one in {AGAIN_S:.0f} s"
        self._recorder.record(events.Gap(t_ns=now_ns(), producer=NAME, reason=reason))

    def mind(self) -> None:
        """Starts a fresh sampler when it is time."""
        if self._due_s is not None and time.monotonic() >= self._due_s:
            self._due_s = None
            self.start()

    def end(self) -> None:
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.end()
