"""The command line as a whole: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from txtop import __version__, settings
from txtop.cli.common import DEFAULT_SCREEN, ScreenOptions, SessionDirOption
from txtop.cli.completion import build_completion
from txtop.cli.overview import COMMANDS, COMPLETION_HELP, DESCRIPTION, OPTION_HELP
from txtop.errors import TxtopError
from txtop.system import streams

app = App(
    name="txtop",
    version=f"txtop {__version__}",
    help=DESCRIPTION,
    # No Markdown: its parser takes longer to import than all of txtop's help.
    help_format="plaintext",
    # Help texts name their defaults themselves, all in one style.
    default_parameter=Parameter(consume_multiple=True, negative=(), show_default=False),
)
# Commands are registered by their places, so that one imports none of the others.
for command in COMMANDS:
    app.command(command.place, name=command.name, help=command.help)
app.command(build_completion(app), name="completion", help=COMPLETION_HELP)


@app.default
def home(
    *,
    demo: Annotated[bool, Parameter(help=OPTION_HELP["--demo"])] = False,
    session_dir: SessionDirOption = None,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Open the home screen: this machine, sessions, and a start for the quick preset."""
    from txtop.cli import run

    return run.home(demo=demo, session_dir=session_dir, screen=screen)


def run_command_line(arguments: list[str]) -> int:
    """Run one command and return its exit code; an error becomes one line on standard error."""
    debug = "--debug" in arguments
    arguments = [a for a in arguments if a != "--debug"]
    try:
        for problem in settings.load_settings().problems:
            _print_error(problem, 0)
        result = app(
            arguments, exit_on_error=False, print_error=False, result_action="return_value"
        )
        return result if isinstance(result, int) else 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if isinstance(error, OSError) and streams.is_lost_output(error):
            return streams.report_lost_output(error)
        if debug:
            traceback.print_exc()
        return _report_error(error, arguments)


def _report_error(error: Exception, arguments: list[str]) -> int:
    """Print an error in one line and return its exit code."""
    if isinstance(error, CycloptsError):
        from txtop.cli.usage_errors import format_usage_error

        names = [name for name in app if not name.startswith("-")]
        return _print_error(format_usage_error(error, arguments, names), 2)
    if isinstance(error, TxtopError):
        return _print_error(str(error), error.exit_code)
    if isinstance(error, RuntimeError) and "home directory" in str(error):
        return _print_error("a path begins with ~ and a name that no user has: write it from /", 2)
    return _print_error(f"{type(error).__name__}: {error} (--debug shows where)", 1)


def _print_error(text: str, code: int) -> int:
    from txtop.sanitise import sanitise

    print(f"txtop: {sanitise(text)}", file=sys.stderr)
    return code
