"""The entry point of `python -m txtop` and `txtop`.

Version and help are answered before the parser is imported, so that they come at once.
"""

import sys

from txtop import __version__
from txtop.system.search_path import leave_out_current_directory

leave_out_current_directory()


def main() -> int:
    """Run the command line and return its exit code."""
    from txtop.system import streams

    streams.open_closed_streams()
    streams.make_streams_forgiving()
    try:
        return streams.finish_output(_run())
    except OSError as error:
        return streams.report_lost_output(error)


def _run() -> int:
    if sys.argv[1:] in (["--version"], ["-V"]):
        print(f"txtop {__version__}")
        return 0
    _mend_environment()
    if sys.argv[1:] in (["--help"], ["-h"]):
        from txtop.cli.overview import format_help

        print(format_help(), end="")
        return 0
    from txtop.cli.app import run_command_line

    return run_command_line(sys.argv[1:])


def _mend_environment() -> None:
    from txtop.system.home import ensure_home
    from txtop.system.terminal_size import forget_stale_size

    ensure_home()
    forget_stale_size()


if __name__ == "__main__":
    sys.exit(main())
