"""How a plan is begun: left alone, in plain lines, or on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from txtop.cli.common import (
    check_detached,
    check_json_target,
    choose_plain_hangup,
    report_after_screen,
)

if TYPE_CHECKING:
    from txtop.plan.plan import Plan
    from txtop.runner.spawn import OnHangup
    from txtop.ui.drawing.glyphs import GlyphMode


def run_plan(
    plan: Plan,
    *,
    name: str | None,
    session_dir: Path | None,
    json_file: str | None,
    headless: bool,
    detach: bool,
    on_hangup: OnHangup | None,
    theme: str | None,
    fps: float | None,
    glyphs: GlyphMode | None,
) -> int:
    """Returns the exit code."""
    from txtop.ui.terminal.capabilities import detect_capabilities

    if detach:
        from txtop.cli.headless import announce_detached_run
        from txtop.runner.spawn import start_run

        check_detached(json_file, headless, on_hangup)
        return announce_detached_run(start_run(plan, session_dir=session_dir, name=name))
    target = check_json_target(json_file)
    if headless or not detect_capabilities().screen:
        from txtop.cli.headless import run_headless
        from txtop.runner.spawn import start_run

        hangup = choose_plain_hangup(on_hangup)
        launched = start_run(plan, session_dir=session_dir, name=name, on_hangup=hangup)
        return run_headless(launched, on_hangup=hangup, json_file=target)
    from txtop.ui.launch import run_live

    path = run_live(
        plan,
        name=name,
        session_dir=session_dir,
        fps=fps,
        theme=theme,
        glyphs=glyphs,
        on_hangup=on_hangup,
    )
    return report_after_screen(path, target) if path else 1
