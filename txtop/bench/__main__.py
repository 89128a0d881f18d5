"""The worker's process: orders on standard input, events on standard output."""

from __future__ import annotations

import argparse
import signal

from txtop.bench.emit import Emitter, claim_stdout
from txtop.bench.inbox import Inbox
from txtop.bench.machine import die_with_parent
from txtop.bench.worker import Worker


def main() -> None:
    """Runs until `quit` or the end of standard input. Ctrl-C is the runner's to interpret."""
    descriptor = claim_stdout()
    parser = argparse.ArgumentParser(prog="python -m txtop.bench")
    parser.add_argument("--name", default="worker", help="the src of every event")
    name = parser.parse_args().name
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox = Inbox()
    inbox.start()
    Worker(name, Emitter(descriptor, name), inbox).run()


main()
