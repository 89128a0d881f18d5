"""The entry point of `python -m txtop` and `txtop`.

Version, help and the home screen need no argument parser and do without, so that they come at once.
"""

import sys
from types import ModuleType

from txtop import __version__


def main() -> int:
    """Run the command line and return its exit code."""
    if sys.argv[1:] in (["--version"], ["-V"]):
        return _print_version()
    streams = _mend_streams()
    try:
        return int(streams.finish_output(_run()))
    except OSError as error:
        return int(streams.report_lost_output(error))


def _print_version() -> int:
    # Nothing is imported for it: that would take longer than all else that it does.
    try:
        print(f"txtop {__version__}", flush=True)
    except OSError as error:
        return int(_mend_streams().report_lost_output(error))
    return 0


def _mend_streams() -> ModuleType:
    """Leave the current directory out of imports, and make the standard streams usable."""
    from txtop.system.search_path import leave_out_current_directory

    leave_out_current_directory()
    from txtop.system import streams

    streams.open_closed_streams()
    streams.make_streams_forgiving()
    return streams


def _run() -> int:
    _mend_environment()
    if sys.argv[1:] in (["--help"], ["-h"]):
        from txtop.cli.overview import format_help

        print(format_help(), end="")
        return 0
    if not sys.argv[1:]:
        from txtop.cli.home import open_home
        from txtop.cli.reported import run_reported

        return run_reported(open_home)
    from txtop.cli.app import run_command_line

    return run_command_line(sys.argv[1:])


def _mend_environment() -> None:
    from txtop.system.home import ensure_home
    from txtop.system.terminal_size import forget_stale_size

    ensure_home()
    forget_stale_size()


if __name__ == "__main__":
    sys.exit(main())
