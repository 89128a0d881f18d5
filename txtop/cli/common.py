"""Options that several commands share, and the checks that go with them.

Every command imports it, so it must stay light: what it needs for a check is imported there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop import settings
from txtop.cli.overview import OPTION_HELP
from txtop.errors import UsageError, did_you_mean
from txtop.options.help_groups import OUTPUT, WHERE
from txtop.settings import OnHangup

NameOption = Annotated[
    str | None, Parameter(group=OUTPUT, help="name of the session; default local time")
]
ModelArgument = Annotated[str, Parameter(help="a built-in name, local path, .gguf file, Hub name")]
SESSION_HELP = "name, id or path of a session; txtop sessions lists them"
SessionArgument = Annotated[str, Parameter(help=SESSION_HELP)]
SessionDirOption = Annotated[Path | None, Parameter(help=OPTION_HELP["--session-dir"])]
WarmupCutOption = Annotated[
    int | None,
    Parameter(name="--warmup", help="what if: the figures with this many warm-up iterations"),
]


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """The options of a run that is started or resumed: its recording, and who watches it."""

    session_dir: SessionDirOption = None
    json_file: Annotated[
        str | None,
        Parameter(
            name="--json",
            allow_leading_hyphen=True,
            help="write the JSON export here; - is standard output",
        ),
    ] = None
    headless: Annotated[bool, Parameter(help="plain lines instead of the screen")] = False
    detach: Annotated[bool, Parameter(help="start the run and leave it alone; prints its name")] = (
        False
    )
    on_hangup: Annotated[
        OnHangup | None,
        Parameter(help="what to do if the terminal disconnects; default continue, headless stop"),
    ] = None


@Parameter(name="*", group=WHERE)
@dataclass(frozen=True, kw_only=True)
class FleetOptions:
    """The other machines that measure the plan; `None` for this one."""

    on: Annotated[
        list[str] | None,
        Parameter(
            n_tokens=-1,
            metavar="PLACE...",
            help="measure on each of these: ssh:HOST, slurm, ray, exec:COMMAND; NAME=ssh:HOST",
        ),
    ] = None
    each: Annotated[bool, Parameter(help="every one measures the whole plan; the default")] = False
    spread: Annotated[
        bool, Parameter(help="deal the cells over these machines, which are equal")
    ] = False
    lost_after: Annotated[
        str | None,
        Parameter(
            metavar="TIME", help="a machine that is silent for this long is lost; default 10m"
        ),
    ] = None
    sync_model: Annotated[
        bool, Parameter(help="copy to those machines the model files that they lack")
    ] = False
    on_command: Annotated[
        str | None, Parameter(help="txtop's command on those machines; default txtop")
    ] = None


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class ScreenOptions(settings.AskedLook):
    """The options of the look of the screen."""

    theme: Annotated[str | None, Parameter(help=OPTION_HELP["--theme"])] = None
    fps: Annotated[float | None, Parameter(help=OPTION_HELP["--fps"])] = None
    glyphs: Annotated[
        Literal["braille", "blocks", "ascii"] | None, Parameter(help="what plots are drawn with")
    ] = None


ViewOnlyOption = Annotated[
    bool, Parameter(help="change nothing: neither the run, nor files, nor settings")
]
DEFAULT_START = StartOptions()
DEFAULT_FLEET = FleetOptions()
DEFAULT_SCREEN = ScreenOptions()


def report_after_screen(path: Path, json_file: str | None) -> int:
    """Print the report of a run after its screen was closed. Return the exit code."""
    from txtop.cli.headless import report_closed_run

    return report_closed_run(path, json_file)


def check_json_target(value: str | None) -> str | None:
    """Return the target of `--json`. Raises `UsageError` if it cannot be written."""
    from txtop.cli.output import check_output

    if value is not None:
        check_output(value)
    return value


def check_name_option(name: str | None, start: StartOptions) -> None:
    """Raise `UsageError` for a `--name` that is taken or not valid."""
    if name is not None:
        from txtop.session.catalog import require_free_name

        require_free_name(name, start.session_dir)


def choose_plain_hangup(on_hangup: OnHangup | None) -> OnHangup:
    """Return what a run without a screen does at a hangup: the option, the setting, or stop."""
    return on_hangup or settings.load_settings().on_hangup or "stop"


def check_detached(start: StartOptions) -> None:
    """Raise `UsageError` for options that a detached run cannot obey.

    It prints nothing at its end and outlives its terminal.
    """
    for option, given in (
        ("--json", start.json_file is not None),
        ("--headless", start.headless),
        ("--on-hangup stop", start.on_hangup == "stop"),
    ):
        if given:
            raise UsageError(f"--detach and {option} contradict each other", "give one of them")


def check_screen_options(screen: ScreenOptions) -> None:
    """Raise `UsageError` for a frame rate out of bounds or an unknown theme."""
    least, most = settings.FPS_RANGE
    if screen.fps is not None and not least <= screen.fps <= most:
        raise UsageError(f"--fps {screen.fps:g} is not between {least:g} and {most:g}")
    if screen.theme is None:
        return
    from txtop.ui.drawing.themes import list_themes

    themes = list_themes()
    if screen.theme not in themes:
        hint = did_you_mean(screen.theme, themes, f"themes: {', '.join(themes)}")
        raise UsageError(f"no theme {screen.theme!r}", hint)
