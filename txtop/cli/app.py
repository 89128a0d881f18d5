"""The command line as a whole: its commands."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, CycloptsError, Parameter

from txtop import __version__
from txtop.cli.common import (
    DEFAULT_SCREEN,
    ScreenOptions,
    SessionDirOption,
    check_screen_options,
)
from txtop.cli.completion import build_completion
from txtop.cli.overview import COMMANDS, COMPLETION_HELP, DESCRIPTION, OPTION_HELP
from txtop.cli.reported import run_reported
from txtop.errors import TxtopError, UsageError

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
    if demo:
        from txtop.cli.replay import play_demo

        return play_demo(screen)
    from txtop.cli.home import open_home

    check_screen_options(screen)
    return open_home(session_dir, screen)


def run_command_line(arguments: list[str]) -> int:
    """Run one command and return its exit code; an error becomes one line on standard error."""
    debug = "--debug" in arguments
    return run_reported(lambda: _run([a for a in arguments if a != "--debug"]), debug=debug)


def _run(arguments: list[str]) -> object:
    """Run one command. Raises `UsageError` for what the parser refuses."""
    _refuse_empty(arguments)
    try:
        return app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except TxtopError as error:
        _spell_options(error, arguments[0] if arguments else "")
        raise
    except CycloptsError as error:
        from txtop.cli.usage_errors import format_usage_error

        names = [name for name in app if not name.startswith("-")]
        raise UsageError(format_usage_error(error, arguments, names)) from error


def _refuse_empty(arguments: list[str]) -> None:
    """Raise `UsageError` for an empty argument: as a path it would mean the current directory."""
    before = "an argument"
    for argument in arguments:
        name, _, value = argument.partition("=")
        if not argument or (argument.startswith("--") and argument != name and not value):
            where = name or before
            raise UsageError(f"{where} is empty", "is it a shell variable without a value?")
        before = argument if argument.startswith("--") else before


def _spell_options(error: TxtopError, command: str) -> None:
    """Name the options in `error` as `command` takes them."""
    from txtop.plan.option_names import ONE_VALUE_COMMANDS, spell_options

    lists = command not in ONE_VALUE_COMMANDS
    error.cause = spell_options(error.cause, lists=lists)
    error.hint = spell_options(error.hint, lists=lists)
