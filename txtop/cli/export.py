"""`txtop show` and `export`: the results of a recorded session, for people and for programs."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop.cli.common import SESSION_HELP, SessionArgument, SessionDirOption, WarmupCutOption
from txtop.errors import UsageError
from txtop.options import limits

ExportFormat = Literal[
    "json",
    "jsonl",
    "csv",
    "md",
    "llama-bench",
    "optimum-benchmark",
    "benchmark_v2",
    "chrome-trace",
    "python",
    "plan",
]


def show(
    session: SessionArgument,
    *,
    warmup: WarmupCutOption = None,
    margin: Annotated[
        str | None, Parameter(help="what if: ratios of precisions judged by this margin, as 5%")
    ] = None,
    session_dir: SessionDirOption = None,
) -> int:
    """Print the results of a session, as the run printed them at its end."""
    from txtop.cli.session_report import print_session
    from txtop.options.parsing import parse_percentage

    limits.check_integer("--warmup", warmup, 0)
    threshold = None if margin is None else parse_percentage("--margin", margin)
    print_session(session, session_dir, warmup=warmup, margin=threshold)
    return 0


def export(
    session: Annotated[str | None, Parameter(help=SESSION_HELP)] = None,
    *,
    format: Annotated[
        ExportFormat,
        Parameter(help="format of the export; default json"),
    ] = "json",
    output: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="a file; default -, standard output")
    ] = "-",
    warmup: WarmupCutOption = None,
    schema: Annotated[bool, Parameter(help="print the JSON Schema of the export instead")] = False,
    session_dir: SessionDirOption = None,
) -> int:
    """Write the results of a session for other programs."""
    limits.check_integer("--warmup", warmup, 0)
    from txtop.cli.output import write_output
    from txtop.cli.session_args import load_sessions

    if schema:
        import json

        from txtop.export.schema import build_json_schema

        print(json.dumps(build_json_schema(), indent=2))
        return 0
    if session is None:
        raise UsageError("export needs a session", "txtop sessions lists what is here")
    from txtop.analysis.metrics import FinalMetrics
    from txtop.export.batches_only import describe_left_out
    from txtop.export.formats import WRITERS

    states = load_sessions(session, session_dir, warmup)
    if "" not in states:
        from txtop.export import fleet

        if format not in fleet.WRITERS:
            raise UsageError(
                f"--format {format} takes one session, {session} has several",
                f"those of a fleet: {', '.join(fleet.WRITERS)}",
            )
        write_output(output, fleet.WRITERS[format](states, FinalMetrics()))
        return 0
    state = states[""]
    if format == "chrome-trace" and not state.traces:
        raise UsageError("no cell of this session was explained: no trace", "txtop explain MODEL")
    if note := describe_left_out(state, format):
        print(f"txtop: {note}", file=sys.stderr)
    write_output(output, WRITERS[format](state, FinalMetrics()))
    return 0
