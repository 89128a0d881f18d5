"""`txtop`, `txtop run` and `resume`: the home screen, a run of a plan, and the rest of one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import (
    AS_SET,
    AS_USUAL,
    DetachOption,
    FpsOption,
    GlyphsOption,
    HeadlessOption,
    JsonFileOption,
    OnHangupOption,
    ScreenOptions,
    SessionDirOption,
    StartOptions,
    ThemeOption,
    check_detached,
    check_display_options,
    check_json_target,
    choose_plain_hangup,
    report_after_screen,
)
from txtop.options.groups import OUTPUT, WHAT
from txtop.options.run_options import NOTHING, RunOptions


def home(
    *,
    demo: Annotated[
        bool, Parameter(help="play a recording that ships with txtop: no model is needed")
    ] = False,
    session_dir: SessionDirOption = None,
    theme: ThemeOption = None,
    fps: FpsOption = None,
    glyphs: GlyphsOption = None,
) -> int:
    """The home screen: this machine, sessions, and a start for the quick preset."""
    if demo:
        from txtop.cli.replay import replay

        return replay(theme=theme, fps=fps, glyphs=glyphs)
    check_display_options(theme, fps)
    from txtop.ui.terminal.capabilities import detect_capabilities

    if not detect_capabilities().screen:
        from txtop.cli.headless import format_home

        print(format_home(session_dir), end="")
        return 0
    from txtop.ui.launch import run_home

    path = run_home(session_dir=session_dir, theme=theme, fps=fps, glyphs=glyphs)
    return report_after_screen(path, None) if path else 0


def run(
    *,
    options: RunOptions = NOTHING,
    plan_toml: Annotated[
        Path | None, Parameter(name="--plan", group=WHAT, help="a TOML file with these options")
    ] = None,
    save_plan: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, group=OUTPUT, help="write these options there and end"
        ),
    ] = None,
    start: StartOptions = AS_USUAL,
    screen: ScreenOptions = AS_SET,
) -> int:
    """Measure models, live. Every combination of the lists is one cell."""
    check_display_options(screen.theme, screen.fps)
    from txtop.cli.start import run_plan
    from txtop.options.run import build_plan

    if plan_toml is not None:
        from txtop.options import plan_file

        options = plan_file.merge_options(plan_file.read_plan_file(plan_toml), options)
    plan = build_plan(options, lambda line: print(f"txtop: {line}", file=sys.stderr))
    if save_plan is not None:
        from txtop.cli.output import check_output, write_output
        from txtop.options import plan_file

        check_output(save_plan)
        write_output(save_plan, plan_file.encode_plan_file(options))
        return 0
    return run_plan(plan, start, screen)


def resume(
    session: Annotated[
        str | None, Parameter(help="default the newest one that was interrupted")
    ] = None,
    *,
    session_dir: SessionDirOption = None,
    json_file: JsonFileOption = None,
    headless: HeadlessOption = False,
    detach: DetachOption = False,
    on_hangup: OnHangupOption = None,
    theme: ThemeOption = None,
    fps: FpsOption = None,
    glyphs: GlyphsOption = None,
) -> int:
    """Finish an interrupted session: measure what is missing, in the same recording."""
    check_display_options(theme, fps)
    from txtop.cli import headless as plain
    from txtop.cli import session_args
    from txtop.runner import spawn
    from txtop.ui.terminal.capabilities import detect_capabilities

    path = session_args.find_resumable_session(session, session_dir)
    target = check_json_target(json_file)
    if not session_args.is_incomplete(path):
        print(f"txtop: nothing of {path.name} is missing", file=sys.stderr)
        return report_after_screen(path, target)
    if detach:
        check_detached(json_file, headless, on_hangup)
        return plain.announce_detached_run(spawn.resume_run(path))
    if headless or not detect_capabilities().screen:
        hangup = choose_plain_hangup(on_hangup)
        launched = spawn.resume_run(path, on_hangup=hangup)
        return plain.run_headless(launched, on_hangup=hangup, json_file=target)
    from txtop.ui.launch import run_resumed

    run_resumed(path, fps=fps, theme=theme, glyphs=glyphs, on_hangup=on_hangup)
    return report_after_screen(path, target)
