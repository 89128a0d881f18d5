"""The list of commands and the page of `txtop --help`, without the argument parser.

Apart from the parser because importing it takes longer than all else that `--help` does.
"""

from __future__ import annotations

from typing import NamedTuple

DESCRIPTION = "How fast a Transformers model really is, measured on this machine, live."


class CommandEntry(NamedTuple):
    """One command: its name, the function behind it as `module:function`, and its help line."""

    name: str
    place: str
    help: str


# In the order in which a user meets them. `completion` is built in `cli.app`, from the app.
COMMANDS = (
    CommandEntry("run", "txtop.cli.run:run", "measure models, live"),
    CommandEntry(
        "ab", "txtop.cli.ab:ab", "decide which of two configurations is faster, and what it costs"
    ),
    CommandEntry("fit", "txtop.cli.fit:fit", "find the largest batch or prompt that fits"),
    CommandEntry("tune", "txtop.cli.tune:tune", "find the best configuration to deploy"),
    CommandEntry("explain", "txtop.cli.explain:explain", "show where the time goes, and why"),
    CommandEntry("resume", "txtop.cli.run:resume", "finish an interrupted session"),
    CommandEntry("attach", "txtop.cli.replay:attach", "show a running session from any terminal"),
    CommandEntry("stream", "txtop.cli.stream:stream", "print a session's log as it grows"),
    CommandEntry("stop", "txtop.cli.replay:stop", "end a running session"),
    CommandEntry("replay", "txtop.cli.replay:replay", "play a session, or two side by side"),
    CommandEntry("sessions", "txtop.cli.sessions:app", "list, rename or delete sessions"),
    CommandEntry("show", "txtop.cli.export:show", "print the results of a session"),
    CommandEntry("export", "txtop.cli.export:export", "write a session for other programs"),
    CommandEntry("web", "txtop.cli.web:web", "show sessions in a browser, live or replayed"),
    CommandEntry("report", "txtop.cli.report:report", "write a session as one HTML file"),
    CommandEntry("compare", "txtop.cli.compare:compare", "find regressions between sessions"),
    CommandEntry("verify", "txtop.cli.verify:verify", "check that a recording is unchanged"),
    CommandEntry("doctor", "txtop.cli.doctor:doctor", "list what this machine can measure"),
    CommandEntry(
        "selftest", "txtop.cli.doctor:selftest", "measure txtop's own effect on the numbers"
    ),
    CommandEntry("config", "txtop.cli.config:config", "print or create the settings file"),
)
COMPLETION_HELP = "print a shell completion script"
OPTION_HELP = {
    "--demo": "play a recorded A/B with captions: no model is needed",
    "--session-dir": "where sessions live",
    "--theme": "colour theme; t on the screen changes it",
    "--fps": "frames per second; default 4, or 2 over SSH",
    "--glyphs": "what plots are drawn with: braille, blocks or ascii",
    "--version": "print the version",
    "--help": "print this page; after a command, that of the command",
}


_SHORT = {"--version": "--version, -V", "--help": "--help, -h"}


def format_help() -> str:
    """Return the page that `txtop --help` prints; ends with a newline."""
    commands = [(entry.name, entry.help) for entry in COMMANDS]
    commands.append(("completion", COMPLETION_HELP))
    lines = ["Usage: txtop [COMMAND] [OPTIONS]", "", DESCRIPTION]
    lines += ["Without a command the home screen opens.", "", "Commands:"]
    lines += [f"  {name:<12} {text}" for name, text in commands]
    lines += ["", "Options:"]
    lines += [f"  {_SHORT.get(option, option):<14} {text}" for option, text in OPTION_HELP.items()]
    return "\n".join(lines) + "\n"
