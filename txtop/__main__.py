"""The entry point of `python -m txtop` and `txtop`.

Version, help, the home screen, the list of sessions and the report of one need no argument parser
and do without, so that they come at once.
"""

import sys
from collections.abc import Callable
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
    arguments = sys.argv[1:]
    if arguments in (["--help"], ["-h"]):
        from txtop.cli.overview import format_help

        print(format_help(), end="")
        return 0
    if run := _find_plain_command(arguments):
        from txtop.cli.reported import run_reported

        return run_reported(run)
    from txtop.cli.app import run_command_line

    return run_command_line(arguments)


def _find_plain_command(arguments: list[str]) -> Callable[[], object] | None:
    """Return what runs `arguments` without a parser, None if they need one."""
    if not arguments:
        from txtop.cli.home import open_home

        return open_home
    if arguments == ["sessions"]:
        from txtop.cli.session_list import print_sessions

        return print_sessions
    if len(arguments) == 2 and arguments[0] == "show" and arguments[1][:1] not in ("", "-"):
        from txtop.cli.session_report import print_session

        return lambda: print_session(arguments[1])
    return None


def _mend_environment() -> None:
    from txtop.system.home import ensure_home
    from txtop.system.terminal_size import forget_stale_size

    ensure_home()
    forget_stale_size()


if __name__ == "__main__":
    sys.exit(main())
