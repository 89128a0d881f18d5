"""The entry point of the worker: commands on standard input, events on standard output."""

from txtop.system.search_path import leave_out_current_directory

leave_out_current_directory()

import argparse
import os
import signal

from txtop.protocol.probe_reply import encode_capability
from txtop.system.parent import end_with_parent
from txtop.worker.command_queue import CommandQueue
from txtop.worker.event_writer import EventWriter, RankWriter, claim_stdout
from txtop.worker.worker import Worker


def main() -> None:
    """Run until `quit` or the end of standard input, or print the probe and return."""
    descriptor = claim_stdout()
    parser = argparse.ArgumentParser(prog="python -m txtop.worker")
    parser.add_argument("--name", default="worker", help="the src of every event")
    parser.add_argument("--probe", action="store_true", help="print what can be measured, and end")
    parser.add_argument("--rank", type=int, default=0, help="follow rank 0, which started this")
    options = parser.parse_args()
    name = options.name
    if options.probe:
        from txtop.worker.probe import probe

        for entry in probe():
            os.write(descriptor, encode_capability(entry))
        return
    end_with_parent()
    # Ctrl-C reaches the whole process group; the runner decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    inbox = CommandQueue()
    inbox.start()
    writer = RankWriter if options.rank else EventWriter
    Worker(name, writer(descriptor, name), inbox, options.rank).run()


main()
