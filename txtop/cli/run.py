"""`txtop run` and `txtop resume`: a new run, and the rest of an old one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from txtop.cli.common import (
    DEFAULT_FLEET,
    DEFAULT_SCREEN,
    DEFAULT_START,
    FleetOptions,
    NameOption,
    ScreenOptions,
    StartOptions,
    check_json_target,
    check_name_option,
    check_screen_options,
    report_after_screen,
)
from txtop.errors import UsageError
from txtop.options.help_groups import OUTPUT, WHAT, WHERE
from txtop.options.run_options import NOTHING, RunOptions

if TYPE_CHECKING:
    from txtop.plan.plan import Plan


def run(
    *,
    options: RunOptions = NOTHING,
    plan_toml: Annotated[
        Path | None, Parameter(name="--plan", group=WHAT, help="a TOML file with these options")
    ] = None,
    save_plan: Annotated[
        str | None,
        Parameter(
            allow_leading_hyphen=True, group=OUTPUT, help="write these options to FILE and exit"
        ),
    ] = None,
    dry_run: Annotated[
        bool, Parameter(group=OUTPUT, help="check the plan, print its cells and exit")
    ] = False,
    part: Annotated[
        str | None,
        Parameter(
            group=WHERE,
            metavar="I/N",
            help="measure the I-th of N parts: cells that share weights stay together",
        ),
    ] = None,
    name: NameOption = None,
    fleet: FleetOptions = DEFAULT_FLEET,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Measure models, live. Every combination of the lists is one cell."""
    check_screen_options(screen)
    check_name_option(name, start)
    from txtop.cli.start import run_plan
    from txtop.options.run_plan import build_plan

    if plan_toml is not None:
        from txtop.options import plan_file

        options = plan_file.merge_options(plan_file.read_plan_file(plan_toml), options)
    if fleet.on is None and fleet != DEFAULT_FLEET:
        raise UsageError(
            "--each, --spread, --lost-after, --sync-model and --on-command need --on",
            "as --on ssh:HOST",
        )
    if fleet.on is not None and dry_run:
        raise UsageError(
            "--on and --dry-run contradict each other",
            "leave out --dry-run: each place checks the plan before anything starts",
        )
    if part is not None and save_plan is not None:
        raise UsageError(
            "--part and --save-plan contradict each other", "txtop run --plan FILE --part I/N"
        )
    if fleet.on is not None and save_plan is None:
        from txtop.cli.fleet import run_on_places

        return run_on_places(options, fleet, name, start, part, screen)
    plan = build_plan(options, lambda line: print(f"txtop: {line}", file=sys.stderr))
    if part is not None:
        plan = _take_part(plan, part)
    if save_plan is not None:
        from txtop.cli.output import check_output, write_output
        from txtop.options import plan_file

        check_output(save_plan)
        write_output(save_plan, plan_file.encode_plan_file(options))
        return 0
    if dry_run:
        from txtop.cli.start import require_device
        from txtop.models.absent_models import explain_absent
        from txtop.plan.labels import format_short_label

        require_device(plan)
        if refusal := next(filter(None, map(explain_absent, plan.cells)), None):
            raise UsageError(*refusal)
        if start.json_file is not None:
            import msgspec

            from txtop.cli.output import write_output
            from txtop.fleet.description import describe_here

            check_json_target(start.json_file)
            write_output(start.json_file, msgspec.json.encode(describe_here(plan)) + b"\n")
        else:
            print(*map(format_short_label, plan.cells), sep="\n")
        return 0
    return run_plan(plan, name, start, screen)


def _take_part(plan: Plan, part: str) -> Plan:
    """Return the part of the plan that `--part` names, and say what is then not compared."""
    from txtop.forecast import dealing
    from txtop.formatting import format_count

    number, parts = dealing.parse_part(part)
    if apart := dealing.count_separated(plan, parts):
        count = format_count(apart, "cell")
        print(f"txtop: the output of {count} is not compared: {dealing.APART}", file=sys.stderr)
    return dealing.take_part(plan, (number, parts))


def resume(
    session: Annotated[
        str | None, Parameter(help="default the newest one that was interrupted")
    ] = None,
    *,
    start: StartOptions = DEFAULT_START,
    screen: ScreenOptions = DEFAULT_SCREEN,
) -> int:
    """Finish an interrupted session: measure what is missing, in the same recording."""
    check_screen_options(screen)
    from txtop.cli import session_args
    from txtop.cli.start import resume_session
    from txtop.fleet.folder import find_fleet

    if session is not None and (folder := find_fleet(session, start.session_dir)):
        from txtop.cli.fleet import resume_fleet

        return resume_fleet(folder, start, screen)

    path = session_args.find_resumable_session(session, start.session_dir)
    if not session_args.is_incomplete(path):
        target = check_json_target(start.json_file)
        print(f"txtop: {session_args.explain_completeness(path)}", file=sys.stderr)
        return report_after_screen(path, target)
    return resume_session(path, start, screen)
