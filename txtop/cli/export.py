"""`txtop show` and `export`: a recorded session for people and for programs."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

from cyclopts import Parameter

from txtop.cli.common import SessionDir, WarmupCut, check_cut
from txtop.errors import UsageError

Format = Literal["json", "jsonl", "csv", "md", "llama-bench", "optimum-benchmark", "benchmark_v2"]


def show(
    session: str,
    *,
    warmup: WarmupCut = None,
    margin: Annotated[
        str | None, Parameter(help="what if: ratios of precisions judged by this margin, as 5%")
    ] = None,
    session_dir: SessionDir = None,
) -> int:
    """Print what the run printed at its end."""
    from txtop.options.parsing import share

    check_cut(warmup)
    judged = None if margin is None else share("--margin", margin)
    from txtop.analysis.metrics import FinalMetrics
    from txtop.cli.session_args import recorded
    from txtop.export.text.table import report

    state = recorded(session, session_dir, warmup)
    print(report(state, FinalMetrics()), end="")
    if judged is not None:
        from txtop.export.text.ratios import lines

        print("", *lines(state, judged), sep="\n")
    return 0


def export(
    session: str | None = None,
    *,
    format: Annotated[
        Format,
        Parameter(help="of the export"),
    ] = "json",
    output: Annotated[
        str, Parameter(allow_leading_hyphen=True, help="a file; - is standard output")
    ] = "-",
    warmup: WarmupCut = None,
    schema: Annotated[bool, Parameter(help="print the JSON Schema of the export instead")] = False,
    session_dir: SessionDir = None,
) -> int:
    """Write a session for other programs."""
    check_cut(warmup)
    from txtop.cli.output import write_out
    from txtop.cli.session_args import recorded

    if schema:
        import json

        from txtop.export.schema import json_schema

        print(json.dumps(json_schema(), indent=2))
        return 0
    if session is None:
        raise UsageError("export needs a session", "txtop sessions lists what is here")
    from txtop.analysis.metrics import FinalMetrics
    from txtop.export import WRITERS
    from txtop.export.batches_only import left_out

    state = recorded(session, session_dir, warmup)
    if said := left_out(state, format):
        print(f"txtop: {said}", file=sys.stderr)
    write_out(output, WRITERS[format](state, FinalMetrics()))
    return 0
