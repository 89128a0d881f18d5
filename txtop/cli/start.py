"""The start of a plan's run, and of the rest of one: detached, in plain lines, or on the screen.

Apart from the commands so that they share it, and so that `--help` does not import it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from txtop.cli.common import (
    check_detached,
    check_json_target,
    choose_plain_hangup,
    report_after_screen,
)
from txtop.errors import UsageError

if TYPE_CHECKING:
    from txtop.cli.common import ScreenOptions, StartOptions
    from txtop.plan.plan import Plan


def run_plan(plan: Plan, name: str | None, start: StartOptions, screen: ScreenOptions) -> int:
    """Measure `plan` in a new session, called `name` if given. Return the exit code."""
    return launch_plan(plan, name, start, screen)[0]


def launch_plan(
    plan: Plan, name: str | None, start: StartOptions, screen: ScreenOptions
) -> tuple[int, Path | None]:
    """Measure `plan` in a new session. Return the exit code, and the session where it is known.

    Raises `UsageError` if its device is not here.
    """
    from txtop.ui.terminal.capabilities import detect_capabilities

    require_device(plan)
    if start.detach:
        from txtop.cli.headless import announce_detached_run
        from txtop.runner import spawn

        check_detached(start)
        launched = spawn.start_run(plan, session_dir=start.session_dir, name=name)
        return announce_detached_run(launched), launched.path
    target = check_json_target(start.json_file)
    if start.headless or not detect_capabilities().screen:
        from txtop.cli.headless import run_headless
        from txtop.runner import spawn

        hangup = choose_plain_hangup(start.on_hangup)
        launched = spawn.start_run(plan, session_dir=start.session_dir, name=name, on_hangup=hangup)
        return run_headless(launched, on_hangup=hangup, json_file=target), launched.path
    from txtop.ui.launch import run_live

    path = run_live(
        plan, screen, name=name, session_dir=start.session_dir, on_hangup=start.on_hangup
    )
    return (report_after_screen(path, target), path) if path else (1, None)


def require_device(plan: Plan) -> None:
    """Raise `UsageError` if the device of `plan`, of an A/B its first arm's, is not here."""
    from txtop.system.gpus import refuse_absent_device

    if refusal := refuse_absent_device(plan.cells[0].device):
        raise UsageError(*refusal)


def resume_session(path: Path, start: StartOptions, screen: ScreenOptions) -> int:
    """Measure what is missing in the session at `path`. Return the exit code.

    Raises `UsageError` if its prompts are not what they were, or the model of a search is gone.
    """
    from txtop.cli.headless import announce_detached_run, run_headless
    from txtop.cli.session_args import require_searched_model
    from txtop.plan.prompt_file import require_unchanged
    from txtop.runner import spawn
    from txtop.runner.liveness import load_session
    from txtop.ui.terminal.capabilities import detect_capabilities

    target = check_json_target(start.json_file)
    state = load_session(path)[0]
    require_searched_model(state)
    for file in {cell.prompts for cell in state.plan.cells}:
        if file is not None:
            require_unchanged(file)
    if start.detach:
        check_detached(start)
        return announce_detached_run(spawn.resume_run(path))
    if start.headless or not detect_capabilities().screen:
        hangup = choose_plain_hangup(start.on_hangup)
        launched = spawn.resume_run(path, on_hangup=hangup)
        return run_headless(launched, on_hangup=hangup, json_file=target)
    from txtop.ui.launch import run_resumed

    run_resumed(path, screen, on_hangup=start.on_hangup)
    return report_after_screen(path, target)
