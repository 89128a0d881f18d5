"""The help page that needs no parser names the parser's commands."""

from __future__ import annotations

from txtop.cli.app import app
from txtop.cli.overview import COMMANDS, OPTION_HELP, format_help


def test_the_page_lists_every_command_and_option_of_the_parser() -> None:
    commands = {name for name in app if not name.startswith("-")}
    assert commands == {*(entry.name for entry in COMMANDS), "completion"}
    options = {
        name
        for argument in app.assemble_argument_collection()
        for name in argument.names
        if name.startswith("--")
    }
    assert options | {"--help", "--version"} == OPTION_HELP.keys()
    page = format_help()
    assert all(f"  {name} " in page for name in (*commands, *OPTION_HELP))
    assert max(map(len, page.splitlines())) <= 80
