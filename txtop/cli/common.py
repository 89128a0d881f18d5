"""Options that several commands share, and the checks that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop import settings
from txtop.cli.overview import OPTION_HELP
from txtop.errors import UsageError, did_you_mean
from txtop.options.groups import OUTPUT

ThemeOption = Annotated[str | None, Parameter(help=OPTION_HELP["--theme"])]
FpsOption = Annotated[float | None, Parameter(help=OPTION_HELP["--fps"])]
GlyphsOption = Annotated[
    Literal["braille", "blocks", "ascii"] | None, Parameter(help="what plots are drawn with")
]
SessionDirOption = Annotated[Path | None, Parameter(help=OPTION_HELP["--session-dir"])]
OnHangupOption = Annotated[
    Literal["continue", "stop"] | None,
    Parameter(help="what the run does when the terminal goes; continue, or stop when headless"),
]
HeadlessOption = Annotated[bool, Parameter(help="plain lines instead of the screen")]
WarmupCutOption = Annotated[
    int | None,
    Parameter(name="--warmup", help="what if: the figures with this many warm-up iterations"),
]
DetachOption = Annotated[bool, Parameter(help="start the run and leave it alone; prints its name")]
JsonFileOption = Annotated[
    str | None,
    Parameter(
        name="--json",
        allow_leading_hyphen=True,
        help="write the JSON export here; - is standard output",
    ),
]


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """Where a run is recorded, and what becomes of it."""

    name: Annotated[str | None, Parameter(help="of the session")] = None
    session_dir: SessionDirOption = None
    json_file: JsonFileOption = None
    headless: HeadlessOption = False
    detach: DetachOption = False
    on_hangup: OnHangupOption = None


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class ScreenOptions:
    """How the screen looks."""

    theme: ThemeOption = None
    fps: FpsOption = None
    glyphs: GlyphsOption = None


AS_USUAL = StartOptions()
AS_SET = ScreenOptions()


def report_after_screen(path: Path, json_file: str | None) -> int:
    """What a run prints when its screen was left."""
    from txtop.cli.headless import report_closed_run

    return report_closed_run(path, json_file)


def check_json_target(value: str | None) -> str | None:
    from txtop.cli.output import check_output

    if value is not None:
        check_output(value)
    return value


def choose_plain_hangup(on_hangup: OnHangupOption) -> Literal["continue", "stop"]:
    """What a run does at a hangup that has no screen."""
    return on_hangup or settings.load_settings().on_hangup or "stop"


def check_warmup_cut(warmup: int | None) -> None:
    if warmup is not None and not 0 <= warmup <= 1_000_000:
        raise UsageError(f"--warmup {warmup} is not between 0 and 1000000")


def check_detached(json_file: str | None, headless: bool, on_hangup: str | None) -> None:
    """A run that is left alone prints nothing at its end and outlives its terminal."""
    for option, given in (
        ("--json", json_file is not None),
        ("--headless", headless),
        ("--on-hangup stop", on_hangup == "stop"),
    ):
        if given:
            raise UsageError(f"--detach and {option} contradict each other", "give one of them")


def check_display_options(theme: str | None, fps: float | None) -> None:
    least, most = settings.FPS_RANGE
    if fps is not None and not least <= fps <= most:
        raise UsageError(f"--fps {fps:g} is not between {least:g} and {most:g}")
    if theme is None:
        return
    from txtop.ui.drawing.themes import list_themes

    known = list_themes()
    if theme not in known:
        raise UsageError(
            f"no theme {theme!r}", did_you_mean(theme, known, f"themes: {', '.join(known)}")
        )
