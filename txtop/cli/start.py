"""How a plan is begun: left alone, in plain lines, or on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from txtop.cli.common import (
    check_detached,
    check_json_target,
    choose_plain_hangup,
    report_after_screen,
)

if TYPE_CHECKING:
    from txtop.cli.common import ScreenOptions, StartOptions
    from txtop.plan.plan import Plan


def run_plan(plan: Plan, start: StartOptions, screen: ScreenOptions) -> int:
    """Returns the exit code."""
    from txtop.ui.terminal.capabilities import detect_capabilities

    if start.detach:
        from txtop.cli.headless import announce_detached_run
        from txtop.runner import spawn

        check_detached(start.json_file, start.headless, start.on_hangup)
        return announce_detached_run(
            spawn.start_run(plan, session_dir=start.session_dir, name=start.name)
        )
    target = check_json_target(start.json_file)
    if start.headless or not detect_capabilities().screen:
        from txtop.cli.headless import run_headless
        from txtop.runner import spawn

        hangup = choose_plain_hangup(start.on_hangup)
        launched = spawn.start_run(
            plan, session_dir=start.session_dir, name=start.name, on_hangup=hangup
        )
        return run_headless(launched, on_hangup=hangup, json_file=target)
    from txtop.ui.launch import run_live

    path = run_live(
        plan,
        name=start.name,
        session_dir=start.session_dir,
        fps=screen.fps,
        theme=screen.theme,
        glyphs=screen.glyphs,
        on_hangup=start.on_hangup,
    )
    return report_after_screen(path, target) if path else 1
