"""The options of `txtop fit`, as dataclasses that cyclopts reads, and the cell that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from txtop.errors import UsageError
from txtop.options.ab_options import PicklesOption, RemoteCodeOption
from txtop.options.help_groups import LONG, WHAT
from txtop.options.one_cell import build_checked_cell
from txtop.options.run_options import build_duration_parameter
from txtop.plan.cell import Cell
from txtop.plan.knobs import BY_FIELD
from txtop.plan.plan import Largest
from txtop.quantities import SIZE_FORMS, is_number, parse_size


@Parameter(name="*", group=LONG)
@dataclass(frozen=True, kw_only=True)
class FitRuleOptions:
    """The rules of a search as typed: what grows, into which memory, and how long a probe runs."""

    largest: Annotated[
        Largest, Parameter(group=WHAT, help="what grows: batch-size, sequence-length, or each")
    ] = "batch-size"
    memory: Annotated[
        str | None,
        Parameter(group=WHAT, help="memory of another machine, as 24GiB; default what is free"),
    ] = None
    iterations: Annotated[int, Parameter(help="iterations of a probe, at most; default 3")] = 3
    budget_s: Annotated[
        float, build_duration_parameter("--budget", "time limit of a probe; default 30")
    ] = 30.0
    timeout_s: Annotated[
        float | None,
        build_duration_parameter("--timeout", "time limit of a probe, loading included"),
    ] = None
    seed: Annotated[int, Parameter(group=WHAT, help="seed of inputs and weights; default 0")] = 0
    allow_pickles: PicklesOption = False
    trust_remote_code: RemoteCodeOption = False


NO_FIT_RULES = FitRuleOptions()


def parse_memory(text: str | None) -> int | None:
    """Return the bytes of `--memory`. Raises `UsageError` for what is no size above 0."""
    if text is None:
        return None
    size = parse_size(text)
    if size is None and is_number(text):
        raise UsageError(f"--memory {text[:40]}: unit missing", f"{text[:40]}MiB or {text[:40]}GiB")
    if not size:
        raise UsageError(f"--memory: {text[:40]!a} is not a size", SIZE_FORMS)
    return size


def build_base_cell(model: str, knobs: Mapping[str, Any], largest: Largest | None) -> Cell:
    """Build the cell whose batch or length grows, or that stays as it is, from the knobs given.

    Raises `UsageError` for one that cannot be measured, and for a knob that grows.
    """
    grown = (largest.replace("-", "_"),) if largest and largest != "both" else ()
    for field in grown:
        if field in knobs:
            option = f"--{BY_FIELD[field].single}"
            raise UsageError(
                f"{option} and --largest {largest} contradict each other",
                f"leave out {option}: it is what is searched",
            )
    if knobs.get("parallel", "none") != "none":
        raise UsageError("--parallel: fit searches the edge of one device", "leave it out")
    if "prompts" in knobs and largest:
        raise UsageError("--prompts has its own lengths, and fit searches them", "leave it out")
    return build_checked_cell(model, knobs, grown)
