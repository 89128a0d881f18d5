"""The findings of `txtop doctor` that need no torch, collected for the home screen."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

from txtop.protocol.probe_reply import build_probe_command, decode_probe_reply
from txtop.sanitise import sanitise

PROBE_DELAY_S = 1.0
MAX_BYTES = 1 << 16
STATE_ORDER = ("broken", "missing", "ok")


@dataclass(frozen=True)
class Finding:
    """One capability: `state` is ok, missing or broken; the texts are inert."""

    state: str
    what: str
    detail: str


def parse_findings(output: bytes) -> tuple[Finding, ...]:
    """Parse the output of a probe; the worst finding first, and among equals the GPU."""
    try:
        entries = decode_probe_reply(output)
    except ValueError:
        return (Finding("broken", "telemetry", "its probe did not answer"),)
    findings = [
        Finding(entry.state, sanitise(entry.capability, 40), sanitise(entry.detail, 200))
        for entry in entries
        if entry.state in STATE_ORDER
    ]
    return tuple(sorted(findings, key=lambda f: (STATE_ORDER.index(f.state), f.what != "gpu")))


class DoctorProbe:
    """The probe of telemetry: a command of its own, started a while after the first picture, whose
    answer is taken without waiting for it. `findings` is `None` until then; given at the start,
    there is no probe.
    """

    def __init__(
        self, findings: tuple[Finding, ...] | None = None, *, after_s: float = PROBE_DELAY_S
    ) -> None:
        self.findings = findings
        self._at_s = time.monotonic() + after_s
        self._probe: subprocess.Popen[bytes] | None = None

    def poll(self) -> bool:
        """Start the probe or look for its answer; True when there are new findings."""
        if self.findings is not None or time.monotonic() < self._at_s:
            return False
        if self._probe is None:
            return self._start()
        if self._probe.poll() is None:
            return False
        assert self._probe.stdout is not None
        with self._probe.stdout as answer:
            self.findings = parse_findings(answer.read(MAX_BYTES))
        return True

    def _start(self) -> bool:
        try:
            self._probe = subprocess.Popen(
                build_probe_command("txtop.sampler"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            self.findings = (Finding("broken", "telemetry", sanitise(str(error), 200)),)
            return True
        return False

    def close(self) -> None:
        """End the probe."""
        if self._probe is not None and self._probe.poll() is None:
            self._probe.kill()
            with suppress(subprocess.TimeoutExpired):
                self._probe.wait(0.5)
