"""The plan of `txtop fit`: the limit that holds here, and the first probe."""

from __future__ import annotations

from txtop.analysis.edge import Axis, explain_end, find_most, list_axes
from txtop.errors import UsageError
from txtop.forecast.edge import choose_next_probe
from txtop.forecast.memory import forecast_memory
from txtop.forecast.memory_fit import require_process_memory, runs_on_gpu
from txtop.models import model_config
from txtop.options import limits
from txtop.options.fit_options import (
    FitRuleOptions,
    build_base_cell,
    parse_memory,
)
from txtop.plan.plan import Allowed, EdgeSearch, Plan
from txtop.state.session import SessionState
from txtop.stats.edge_search import find_predicted_edge
from txtop.system import free_memory, process_limits

# Of a worker's address space on a CPU: mapped, and not resident; more threads have more.
MAPPED_BYTES = 515 << 20


def build_search(model: str, knobs: dict[str, object], rules: FitRuleOptions) -> EdgeSearch:
    """Build the search that was asked for. Raises `UsageError` for one that cannot be made."""
    base = build_base_cell(model, knobs, rules.largest)
    limits.check_rules(rules)
    asked = parse_memory(rules.memory)
    require_process_memory(asked, base.device)
    limit, address = asked, None
    if asked is None and not runs_on_gpu(base.device):
        limit = free_memory.read_free_bytes()
        space = process_limits.read_address_limit()
        if space is not None and space - MAPPED_BYTES < limit:
            limit, address = max(1, space - MAPPED_BYTES), space
    search = EdgeSearch(
        largest=rules.largest,
        base=base,
        limit_bytes=limit,
        asked=asked is not None,
        address_bytes=address,
        context=model_config.find_context_length(base.model),
        family=model_config.find_family(base.model),
    )
    for axis in list_axes(search):
        if not find_most(search, axis):
            raise UsageError(
                f"no prompt fits the context of {base.model_name}: {explain_end(search, axis)}",
                "fewer --new-tokens, or --largest batch-size",
            )
    return search


def find_too_little(search: EdgeSearch) -> int | None:
    """Return the bytes that are free here on a CPU if they are fewer than was asked for."""
    if not search.asked or runs_on_gpu(search.base.device):
        return None
    free = free_memory.read_free_bytes()
    return free if free < (search.limit_bytes or 0) else None


def build_fit_plan(search: EdgeSearch, rules: FitRuleOptions) -> Plan:
    """Build the plan of `search`, whose cell is the first probe."""
    first = choose_next_probe(SessionState(), search)
    assert first is not None
    return Plan(
        cells=(first.cell,),
        iterations=rules.iterations,
        warmup=1,
        budget_s=rules.budget_s,
        fitted=True,
        seed=rules.seed,
        timeout_s=rules.timeout_s,
        fidelity_positions=0,
        profile="none",
        allowed=Allowed(pickles=rules.allow_pickles, remote_code=rules.trust_remote_code),
        edge_search=search,
    )


def predict_edges(search: EdgeSearch) -> list[tuple[Axis, int, int, int] | None]:
    """Return (axis, steps, their bytes, the bytes of one step more) of each predicted edge.

    0 steps if nothing fits, None if the model is not known here.
    """
    return [_predict_edge(search, axis) for axis in list_axes(search)]


def _predict_edge(search: EdgeSearch, axis: Axis) -> tuple[Axis, int, int, int] | None:
    def predict(steps: int) -> int | None:
        cell = axis.build_cell(search, steps)
        forecast = forecast_memory(cell, on_gpu=runs_on_gpu(cell.device))
        return forecast.needed_bytes if forecast is not None else None

    steps = find_predicted_edge({}, find_most(search, axis), predict, search.limit_bytes)
    if steps is None:
        return None
    return axis, steps, predict(max(1, steps)) or 0, predict(steps + 1) or 0
