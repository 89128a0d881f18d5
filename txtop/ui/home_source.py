"""The source of the home screen: a sampler of its own, and the sessions of this machine."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from txtop.options.presets import find_preset
from txtop.plan.model_names import name_in_row, name_models
from txtop.protocol import codec
from txtop.protocol.codec import BadLine
from txtop.protocol.events import Telemetry
from txtop.sanitise import sanitise
from txtop.session import catalog
from txtop.session.reader import find_log_path
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.system.cpu import count_allowed_cores
from txtop.system.process_program import read_program
from txtop.system.search_path import build_module_command
from txtop.ui.doctor_probe import DoctorProbe, Finding
from txtop.ui.models.home import HomeFrame, ListedSession, SessionStage, StartFacts
from txtop.ui.models.machine import build_machine
from txtop.ui.models.machine_detail import build_machine_detail
from txtop.ui.outcome_reader import OutcomeReader
from txtop.ui.runner_link import open_runner_handle

if TYPE_CHECKING:
    from txtop.forecast.history import RunHistory
    from txtop.forecast.memory_fit import FreeMemory
    from txtop.options.presets import Preset

SCAN_EVERY_S = 5.0
MAX_SESSIONS = 30
# Outcomes are read without a pause so long; later at every update, beside whatever is measured.
HASTE_S = 1.0
READ_BYTES = 1 << 16


class HomeSource:
    """The samples of a sampler that is started for it, unrecorded, and the sessions on disk.

    The outcomes of sessions are read a little at an update, once there was a frame with the list.
    It starts a sampler and folds its samples without recording them. The sampler ends with this
    process (it watches its standard input) or with `close`. Without one the series stay empty and
    `problem` says why.
    """

    def __init__(
        self,
        session_dir: Path | None = None,
        interval_s: float = 1.0,
        findings: tuple[Finding, ...] | None = None,
        outcomes: OutcomeReader | None = None,
    ) -> None:
        self._session_dir = session_dir or catalog.get_sessions_dir()
        self.state = SessionState()
        self.sessions: tuple[ListedSession, ...] | None = None
        self.problem = ""
        self.finished = False
        self.past: RunHistory | None = None
        self._forecasts = False
        self.recorded: int | None = None
        self._learnt: frozenset[tuple[str, int]] | None = None
        self.outcomes = outcomes or OutcomeReader()
        self._haste_until_s = time.monotonic() + HASTE_S
        self._doctor = DoctorProbe(findings)
        self.quick: Preset | None = None
        self.starts: StartFacts | None = None
        self._facts: Iterator[StartFacts] | None = None
        self._programs: dict[str, dict[int, str]] = {}
        self._rest = b""
        self._looked_s = 0.0
        self._seen: frozenset[tuple[str, int]] = frozenset()
        self._sampler: subprocess.Popen[bytes] | None = None
        self._start(interval_s)

    @property
    def findings(self) -> tuple[Finding, ...] | None:
        """The findings of the doctor; `None` until there are any."""
        return self._doctor.findings

    @property
    def programs(self) -> dict[int, str]:
        """The programs of the processes on the host and on GPUs, by process id."""
        return {pid: name for named in self._programs.values() for pid, name in named.items()}

    @property
    def reading(self) -> bool:
        """True while outcomes are still to come and are read in haste."""
        return bool(self.outcomes.waiting) and time.monotonic() < self._haste_until_s

    def read_free_memory(self) -> FreeMemory | None:
        """Return the free memory as it was sampled last, once forecasts need it."""
        if not self._forecasts:
            return None
        from txtop.forecast.memory_fit import read_free_memory

        return read_free_memory(self.state)

    def load_history(self) -> None:
        """Read the times of earlier runs on this machine, if sessions have changed since."""
        self._forecasts = True
        if self._learnt == self._seen:
            return
        from txtop.forecast.history import load_local_history

        self.past = load_local_history(self._session_dir)
        self._learnt = self._seen

    def _start(self, interval_s: float) -> None:
        command = build_module_command("txtop.sampler", "--interval", str(interval_s))
        try:
            self._sampler = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        except OSError as error:
            self.problem = f"no telemetry ({error.strerror})"
        else:
            assert self._sampler.stdout is not None
            os.set_blocking(self._sampler.stdout.fileno(), False)

    def update(self, elapsed_ns: int = 0) -> bool:
        """Fold new samples; every `SCAN_EVERY_S` look for sessions. True if something changed."""
        changed = self._read()
        changed |= self._doctor.poll()
        now_s = time.monotonic()
        if self.sessions is not None:
            changed |= self._read_on(self.sessions)
        if self.sessions is None or now_s - self._looked_s >= SCAN_EVERY_S:
            self._looked_s = now_s
            seen = _compute_signature(self._session_dir)
            if self.sessions is None or seen != self._seen:
                self._seen = seen
                self.recorded = len(seen)
                entries = catalog.list_recent(MAX_SESSIONS, self._session_dir)
                sessions = tuple(map(build_listed_session, entries))
                self.outcomes.take(sessions)
                self.sessions = tuple(map(self.outcomes.join, sessions))
                changed = True
        return changed

    def _read_on(self, sessions: tuple[ListedSession, ...]) -> bool:
        """Read outcomes, and after the first of them the quick preset as it is on this machine."""
        if self.quick is None and not self.outcomes.awaits_first:
            self.quick = find_preset("quick")
            return True
        if not self.outcomes.step():
            return not self.outcomes.waiting and self._look_further()
        self.sessions = tuple(map(self.outcomes.join, sessions))
        return True

    def _look_further(self) -> bool:
        """Look up one more fact about presets and models, once nobody waits for an outcome."""
        if self._facts is None:
            # Imported late: this brings in the forecast.
            from txtop.ui.start_facts import gather_start_facts

            self._facts = gather_start_facts(self.past)
        before = self.starts
        self.starts = next(self._facts, before)
        return self.starts is not before

    def _read(self) -> bool:
        if self._sampler is None or self._sampler.stdout is None or self.problem:
            return False
        try:
            data = os.read(self._sampler.stdout.fileno(), READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self.problem = "telemetry stopped"
            return True
        *whole, self._rest = (self._rest + data).split(b"\n")
        for line in whole:
            try:
                event = codec.decode_event(line)
            except BadLine:
                continue
            if event is not None:
                fold(self.state, event)
            if isinstance(event, Telemetry) and event.foreign is not None:
                named = {p.pid: read_program(p.pid, p.name) for p in event.foreign}
                self._programs[event.device] = named
        return bool(whole)

    def close(self) -> None:
        """End the sampler and the probe."""
        self._doctor.close()
        if self._sampler is None:
            return
        self._sampler.terminate()
        try:
            self._sampler.wait(0.5)
        except subprocess.TimeoutExpired:
            self._sampler.kill()


def _compute_signature(folder: Path) -> frozenset[tuple[str, int]]:
    """Return the sessions with the times of their last writes: reading them takes long, so it is
    done for changes alone.
    """
    signature = set()
    try:
        for path in folder.iterdir():
            with suppress(OSError):
                signature.add((path.name, find_log_path(path).stat().st_mtime_ns))
    except OSError:
        return frozenset()
    return frozenset(signature)


def build_listed_session(entry: catalog.CatalogEntry) -> ListedSession:
    """Build the line of a session; one without an end is running if its runner answers."""
    if entry.ended in ("done", "stopped", "failed", catalog.UNREADABLE):
        stage: SessionStage = entry.ended  # type: ignore[assignment]
    elif not entry.bundled and open_runner_handle(entry.path).status() is not None:
        stage = "running"
    else:
        stage = "cut off"
    models = tuple(name_models(entry.models).values())
    return ListedSession(
        path=entry.path,
        label=sanitise(entry.id, 80),
        models=sanitise(entry.problem or " ".join(models), 120),
        wall_s=entry.wall_s,
        cells_ok=entry.cells_ok,
        cells_total=entry.cells_total,
        stage=stage,
        bundled=entry.bundled,
        precisions=sanitise(" ".join(entry.precisions), 120),
        size_bytes=entry.size_bytes,
        first_model=next(iter(entry.models), ""),
        is_ab=entry.is_ab,
        is_search=entry.is_search,
        counted=entry.counted,
        brief_models=sanitise(entry.problem or name_in_row(models), 120),
    )


def build_home_frame(machine: HomeSource, now_s: float) -> HomeFrame:
    """Build a frame: running sessions first, then the newest, then those that came with txtop."""
    sessions = machine.sessions
    if sessions is not None:
        sessions = tuple(
            sorted(sessions, key=lambda f: (f.stage != "running", f.bundled, -f.wall_s))
        )
    return HomeFrame(
        title=f"{sanitise(platform.node(), 40)} · {count_allowed_cores()} cores",
        machine=build_machine(machine.state),
        machine_detail=build_machine_detail(machine.state, programs=machine.programs),
        sessions=sessions,
        now_s=now_s,
        problem=machine.problem,
        free_memory=machine.read_free_memory(),
        findings=machine.findings,
        past=machine.past,
        recorded=machine.recorded,
        quick=machine.quick,
        reading=machine.reading,
        late=bool(machine.outcomes.waiting),
        starts=machine.starts,
    )
