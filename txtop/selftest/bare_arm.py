"""The bare arm: a process without txtop that prints when its tokens were ready."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from txtop.errors import RunError
from txtop.selftest.process_tree import ProcessTree
from txtop.selftest.time_slices import SlicedLoop
from txtop.system.search_path import build_module_command


class BareArm(SlicedLoop):
    """Run `command`, which prints what `txtop.worker.baseline` does; its errors go to `errors`."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._errors = errors
        with errors.open("wb") as log:
            # A session of its own, as the runner has: Linux divides cores between sessions.
            self._process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, start_new_session=True
            )
        self._lines: deque[bytes] = deque()
        self._reader = threading.Thread(target=self._read, name="bare", daemon=True)
        self._reader.start()
        super().__init__(ProcessTree(self._process.pid), self)

    @property
    def pid(self) -> int:
        return self._process.pid

    def poll(self) -> list[list[int]]:
        """Return the new calls' token times; see `TokenTimeSource`."""
        ended = not self._reader.is_alive()
        calls: list[list[int]] = []
        while self._lines:
            calls.append(json.loads(self._lines.popleft())["at_ns"])
        if ended and not calls:
            errors = self._errors.read_text(errors="replace").strip().splitlines()
            raise RunError(f"the bare loop ended: {errors[-1] if errors else 'no word'}")
        return calls

    def close(self) -> None:
        self._tree.kill()
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            self._lines.extend(output)


def build_bare_command(
    config: Path,
    *,
    sequence_length: int,
    new_tokens: int,
    threads: int,
    device: str = "cpu",
    compile_mode: str = "none",
) -> list[str]:
    """Build the command line of a loop that shares no code with the rest of txtop."""
    command = build_module_command("txtop.worker.baseline", str(config))
    command += ["--sequence-length", str(sequence_length)]
    command += ["--new-tokens", str(new_tokens), "--threads", str(threads)]
    return [*command, "--device", device, "--compile", compile_mode]
