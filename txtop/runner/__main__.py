"""`python -m txtop.runner FOLDER`: read a plan from standard input, conduct it, record it.

With `--resume` the plan is the session's own.
"""

from txtop.system.search_path import leave_out_current_directory

leave_out_current_directory()

import argparse
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

import msgspec

from txtop.errors import TxtopError
from txtop.plan.plan import Plan
from txtop.runner.conductor import Conductor
from txtop.runner.control_client import SOCKET_NAME
from txtop.runner.control_protocol import choose_socket_path

MAX_PLAN_BYTES = 16 << 20


def main() -> int:
    """Conduct the run. Return exit code 0 if it ended and was recorded, else 1."""
    parser = argparse.ArgumentParser(prog="python -m txtop.runner", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default=None)
    parser.add_argument("--on-hangup", choices=("continue", "stop"), default="continue")
    parser.add_argument("--screen", type=int, default=None, metavar="PID")
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    # A run outlives its terminal; `--on-hangup stop` is served by the lifeline instead.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    plan = None
    if not options.resume:
        plan = msgspec.json.decode(sys.stdin.buffer.readline(MAX_PLAN_BYTES), type=Plan)
    try:
        socket_path = choose_socket_path()
        conductor = Conductor(
            plan,
            options.folder,
            name=options.name,
            socket_path=socket_path,
            screens={"screen": options.screen} if options.screen else {},
        )
    except (TxtopError, OSError) as error:
        sys.stderr.write(f"txtop: {error}\n")
        return 1

    def interrupted(number: int, frame: FrameType | None) -> None:
        conductor.interrupt(signal.Signals(number).name)

    signal.signal(signal.SIGTERM, interrupted)
    signal.signal(signal.SIGINT, interrupted)
    (options.folder / SOCKET_NAME).write_bytes(os.fsencode(socket_path))
    if options.on_hangup == "stop":
        conductor.watch_lifeline(sys.stdin.fileno())
    try:
        reason, recorded = conductor.run()
    finally:
        socket_path.unlink(missing_ok=True)
        (options.folder / SOCKET_NAME).unlink(missing_ok=True)
    if not recorded:
        with suppress(OSError):
            sys.stderr.write(f"txtop: {conductor.recorder.writer.trouble()}\n")
    return 0 if recorded and reason != "failed" else 1


if __name__ == "__main__":
    sys.exit(main())
