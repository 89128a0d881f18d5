"""`txtop doctor` and `selftest`: the abilities of this machine, and txtop's own effect on it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from txtop.cli.common import SessionDirOption
from txtop.errors import UsageError
from txtop.plan.cell import Compile


def doctor(
    *,
    json_lines: Annotated[bool, Parameter(name="--json", help="for programs")] = False,
    session_dir: SessionDirOption = None,
) -> int:
    """List what this machine can measure, and why not the rest, a line each as it is found."""
    from txtop.cli.probes import format_capability, probe_capabilities

    if json_lines:
        import json

        import msgspec

        capabilities = msgspec.to_builtins(list(probe_capabilities(session_dir)))
        print(json.dumps({"capabilities": capabilities}, indent=2))
        return 0
    for entry in probe_capabilities(session_dir):
        print(format_capability(entry), flush=True)
    return 0


def selftest(
    *,
    overhead: Annotated[bool, Parameter(help="the same work bare and under the screen")] = False,
    aa: Annotated[bool, Parameter(help="identical arms: how many name a winner")] = False,
    device: Annotated[str, Parameter(help="of --overhead: cpu (default) or cuda")] = "cpu",
    compile_mode: Annotated[
        Compile,
        Parameter(name="--compile", help="of --overhead: reduce-overhead replays CUDA graphs"),
    ] = "none",
) -> int:
    """Measure txtop's own effect on the numbers, and the false-positive rate of its A/B."""
    if not overhead and not aa:
        raise UsageError("selftest needs a check", "--overhead, --aa or both")
    if not overhead and (device, compile_mode) != ("cpu", "none"):
        raise UsageError("--device and --compile are those of --overhead", "add --overhead")

    def say(line: str) -> None:
        print(line, flush=True)

    codes = []
    if overhead:
        from txtop.selftest.overhead import run as run_overhead

        result = run_overhead(device=device, compile_mode=compile_mode, say=say)
        codes.append(result.exit_code)
    if aa:
        from txtop.selftest.identical_arms import run as run_identical

        codes.append(run_identical(say=say).exit_code)
    return max(codes)
