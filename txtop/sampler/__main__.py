"""`python -m txtop.sampler`: telemetry events on standard output until standard input ends."""

from txtop.system.search_path import leave_out_current_directory

leave_out_current_directory()

import argparse
import os
import signal
from types import FrameType

from txtop.protocol.probe_reply import encode_capability
from txtop.sampler.probe import probe
from txtop.sampler.process_usage import NotAProcess, WatchedProcesses
from txtop.sampler.sampler import Sampler
from txtop.sampler.stdio import CommandInput, EventOutput, ReaderGone
from txtop.system.parent import end_with_parent

STDIN, STDOUT = 0, 1


def _parse_interval(text: str) -> float:
    value = float(text)
    if not 0.02 <= value <= 60:
        raise ValueError
    return value


def _parse_watched(text: str) -> WatchedProcesses:
    watched = WatchedProcesses()
    for entry in text.split(","):
        try:
            watched.add(entry)
        except NotAProcess as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return watched


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Sample, or print what can be measured here (`--probe`). Exits with 0, or 2 for usage."""
    parser = argparse.ArgumentParser(prog="python -m txtop.sampler", description=__doc__)
    parser.add_argument("--interval", type=_parse_interval, default=0.2, help="seconds, 0.02 to 60")
    parser.add_argument("--name", default="sampler", help="the events' source")
    parser.add_argument(
        "--watch", type=_parse_watched, default=WatchedProcesses(), metavar="LABEL=PID[,...]"
    )
    parser.add_argument("--probe", action="store_true", help="print what can be measured, and end")
    options = parser.parse_args()
    if options.probe:
        for entry in probe():
            os.write(STDOUT, encode_capability(entry))
        return
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    end_with_parent()
    output, commands = EventOutput(STDOUT, options.name), CommandInput(STDIN, reader=STDOUT)
    try:
        Sampler(output, commands, options.interval, options.watch).run()
    except ReaderGone:
        return


if __name__ == "__main__":
    main()
