"""The edge that `txtop fit` searches, derived from the probes of a session.

One knob grows, a sequence or 64 tokens at a time, and the others stay; see docs/method.md, "What
fits".
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from txtop.formatting import format_typed_size
from txtop.models import model_config
from txtop.models.builtin import Family
from txtop.plan.cell import Cell
from txtop.plan.plan import EdgeSearch
from txtop.state.cell import CellState
from txtop.state.session import SessionState
from txtop.stats.edge_search import Bracket, Outcome, find_bracket

MAX_SEQUENCES = 65_536
MAX_TOKENS = 1 << 20
# By how much the peak of a probe on a CPU differs from that of an equal one, for the heap has other
# holes: of what the call takes, and at most. See docs/method.md, "What fits".
HEAP_SPREAD = 1 / 4
MAX_HEAP_SPREAD_BYTES = 120 << 20


@dataclass(frozen=True)
class Axis:
    """A knob that grows: its title, the field of a cell, and its step."""

    title: str
    field: str
    step: int

    @property
    def noun(self) -> str:
        """Return what the knob counts."""
        return "sequence" if self.field == "batch_size" else "token"

    def format_value(self, cell: Cell) -> str:
        """Format the knob of `cell`, as `batch 8` or `4,096 tokens`."""
        value = self.read_value(cell)
        return f"batch {value:,}" if self.field == "batch_size" else f"{value:,} tokens"

    def read_value(self, cell: Cell) -> int:
        """Return the knob of `cell`."""
        value: int = getattr(cell, self.field)
        return value

    def build_cell(self, search: EdgeSearch, steps: int, name: str = "") -> Cell:
        """Build the cell of a probe, called `name`; the last step ends where the search does."""
        value = steps * self.step
        if steps == find_most(search, self):
            value = find_end(search, self)
        return msgspec.structs.replace(search.base, id=name, **{self.field: value})

    def count_steps(self, search: EdgeSearch, cell: Cell) -> int | None:
        """Return the steps of `cell`; None if it is no probe of this axis."""
        value, own = self.read_value(cell), self.read_value(search.base)
        if value % self.step and value == own != find_end(search, self):
            # A length as given, at which the batch was searched.
            return None
        plain = msgspec.structs.replace(cell, id="", alias=UNSET, **{self.field: own})
        same = msgspec.structs.replace(search.base, id="", alias=UNSET) == plain
        return -(-value // self.step) if same else None


BATCH = Axis("largest batch", "batch_size", 1)
LENGTH = Axis("longest prompt", "sequence_length", 64)
_AXES = {"batch-size": (BATCH,), "sequence-length": (LENGTH,), "both": (BATCH, LENGTH)}


@dataclass(frozen=True)
class Edge:
    """Both sides of an edge; None where a side was not found.

    `largest` ran and `smallest` did not. `ends_at` is the most that the model allows, where all ran
    up to there. `limit_bytes` is the memory for a probe, None if unknown.
    """

    axis: Axis
    probes: dict[int, CellState]
    bracket: Bracket
    most: int
    limit_bytes: float | None

    @property
    def largest(self) -> CellState | None:
        return self.probes.get(self.bracket.ran)

    @property
    def smallest(self) -> CellState | None:
        return None if self.bracket.failed is None else self.probes.get(self.bracket.failed)

    @property
    def lacks_memory(self) -> bool:
        """Return True if the smallest did not run for want of memory."""
        return self.smallest is not None and self.smallest.status in ("ok", "oom")

    @property
    def lost(self) -> CellState | None:
        """Return a probe that ended by itself and tells nothing of memory; None without one."""
        ended = (own for own in self.probes.values() if own.over and not has_outcome(own))
        return next((own for own in ended if own.status in ("failed", "rejected")), None)

    @property
    def skipped(self) -> CellState | None:
        """Return the probe whose skip ended the search; None without one."""
        skipped = (own for own in self.probes.values() if own.status == "skipped")
        return None if self.is_found else next(skipped, None)

    @property
    def too_long(self) -> CellState | None:
        """Return the least above what ran that took too long; None without one."""
        out = [n for n, own in self.probes.items() if own.status == "timeout"]
        return self.probes.get(min((n for n in out if n > self.bracket.ran), default=0))

    @property
    def judged(self) -> int:
        """Return the number of probes that tell something: they ran or did not."""
        return sum(has_outcome(own) for own in self.probes.values())

    @property
    def is_found(self) -> bool:
        """Return True if memory ends one step on, or all ran that the model allows."""
        is_closed = self.bracket.is_closed and self.lacks_memory
        return is_closed or self.bracket.ran >= self.most

    @property
    def peak_bytes(self) -> float | None:
        """Return the memory that the largest took; None if unknown."""
        return self.largest.peak_bytes if self.largest is not None else None

    @property
    def headroom_bytes(self) -> float | None:
        """Return the memory that the largest left free; None if unknown."""
        peak = self.peak_bytes
        return None if peak is None or self.limit_bytes is None else self.limit_bytes - peak

    @property
    def excess_bytes(self) -> float | None:
        """Return the memory of the smallest that is too large and yet ran; None without one."""
        own = self.smallest
        return own.peak_bytes if own is not None and own.status == "ok" else None

    @property
    def spread(self) -> int:
        """Return by how much of the knob another search may differ.

        0 on a GPU, whose allocator repeats itself, without an edge, and if the memory after the
        load is unknown.
        """
        own = self.largest
        load = own.load if own is not None else None
        if own is None or not own.peak_bytes or not (self.is_found and self.smallest):
            return 0
        if load is None or load.device != "cpu" or load.resident_bytes is None:
            return 0
        call_bytes = own.peak_bytes - load.resident_bytes
        if call_bytes <= 0:
            return 0
        share = min(HEAP_SPREAD, MAX_HEAP_SPREAD_BYTES / call_bytes)
        return round(share * self.bracket.ran) * self.axis.step


def describe_fixed(axis: Axis, search: EdgeSearch) -> str:
    """Describe what stays as `axis` grows: `512 + 8 tokens`, `batch 4, 8 new tokens`."""
    base = search.base
    encodes = _find_family(search) == "encoder"
    if axis.field == "batch_size":
        new = "" if encodes else f" + {base.new_tokens:,}"
        return f"{base.sequence_length:,}{new} tokens"
    return f"batch {base.batch_size:,}" + ("" if encodes else f", {base.new_tokens:,} new tokens")


def list_axes(search: EdgeSearch) -> tuple[Axis, ...]:
    """Return the axes to search, in their order."""
    return _AXES[search.largest]


def find_most(search: EdgeSearch, axis: Axis) -> int:
    """Return the most steps that make sense; the last may be a shorter one."""
    return -(-find_end(search, axis) // axis.step)


def find_end(search: EdgeSearch, axis: Axis) -> int:
    """Return where a search ends at the latest: a prompt ends with the context of the model."""
    if axis is BATCH:
        return MAX_SEQUENCES
    positions = _find_context(search)
    return MAX_TOKENS if positions is None else max(0, positions - _count_new(search))


def explain_end(search: EdgeSearch, axis: Axis) -> str:
    """Return what ends a search in which all ran, as `the model has 1,024 positions`."""
    positions = _find_context(search)
    if axis is BATCH or positions is None:
        return f"a search ends at {find_end(search, axis):,} {axis.noun}s"
    new = _count_new(search)
    return f"the model has {positions:,} positions" + (f", {new:,} for new tokens" if new else "")


def _count_new(search: EdgeSearch) -> int:
    """Return the new tokens that take positions of the prompt's."""
    return search.base.new_tokens if _find_family(search) == "causal" else 0


def find_search(state: SessionState) -> EdgeSearch | None:
    """Return the search of a session, with what its first load told of the model."""
    search = state.plan.edge_search
    return search and complete_search(search, state)


def complete_search(search: EdgeSearch, state: SessionState) -> EdgeSearch:
    """Return `search` with the model's context and family, if a load of `state` told them first."""
    load = next(iter(state.loads.values()), None)
    if load is None or search.context is UNSET or search.family is not None:
        return search
    return msgspec.structs.replace(search, context=load.context, family=load.family)


def _find_context(search: EdgeSearch) -> int | None:
    # Of an older recording, which lacks it, the files here tell.
    if search.context is UNSET:
        return model_config.find_context_length(search.base.model)
    return search.context


def _find_family(search: EdgeSearch) -> Family | None:
    if search.context is UNSET:
        return model_config.find_family(search.base.model)
    return search.family


def has_outcome(own: CellState) -> bool:
    """Return True if a probe ended, and its end tells of its size.

    A worker that died without a sign of memory, or a model that is not here now, tells nothing.
    """
    may_pass = own.rejected is not None and own.rejected.may_pass
    return own.over and not may_pass and own.status not in ("skipped", "cancelled", "failed")


def judge_probe(own: CellState, search: EdgeSearch) -> Outcome | None:
    """Return how a probe ended; None if that tells nothing."""
    if not has_outcome(own):
        return None
    peak = own.peak_bytes
    exceeds = search.asked and search.limit_bytes is not None and (peak or 0) > search.limit_bytes
    return Outcome(own.status == "ok" and not exceeds, peak)


def list_outcomes(state: SessionState, search: EdgeSearch, axis: Axis) -> dict[int, Outcome]:
    """Return the outcomes of an axis by steps; one that took too long tells nothing of memory."""
    outcomes = {}
    for own in state.cells.values():
        steps, outcome = axis.count_steps(search, own.cell), judge_probe(own, search)
        if steps is not None and outcome is not None and own.status != "timeout":
            outcomes[steps] = outcome
    return outcomes


def find_edges(state: SessionState) -> list[Edge]:
    """Return the edges of a session, as far as they are known; none of one that searches none."""
    search = find_search(state)
    if search is None:
        return []
    edges = []
    for axis in list_axes(search):
        probes = {
            steps: own
            for own in state.cells.values()
            if (steps := axis.count_steps(search, own.cell)) is not None
        }
        bracket = find_bracket(list_outcomes(state, search, axis))
        edges.append(Edge(axis, probes, bracket, find_most(search, axis), find_limit(state)))
    return edges


def find_answer(state: SessionState) -> Edge | None:
    """Return the first edge of which a probe ran; None without one."""
    return next((edge for edge in find_edges(state) if edge.largest is not None), None)


def find_limit(state: SessionState) -> float | None:
    """Return the memory for a probe: what was given, and of a GPU no more than it has.

    Of a limited address space it is what the first load left beside what it had mapped for nothing.
    """
    search, load = state.plan.edge_search, next(iter(state.loads.values()), None)
    if search is None:
        return None
    mapped = load.mapped_bytes if load is not None else None
    if search.address_bytes is not None and mapped is not None:
        return max(1, search.address_bytes - mapped)
    name = state.gpu(load.device_id) if load is not None else None
    total = state.devices[name].last("memory_total_bytes") if name is not None else None
    return min((size for size in (search.limit_bytes, total) if size is not None), default=None)


def describe_limit(search: EdgeSearch, limit_bytes: float, gib: str) -> str:
    """Describe the limit of a search, and whose: `700 MiB asked for`, `23.1 GiB free here`.

    It is `gib` beside other sizes; what was asked for is as it was typed.
    """
    if search.address_bytes is None and limit_bytes != search.limit_bytes:
        return f"{gib} GiB of this GPU"
    if search.asked:
        return f"{format_typed_size(int(limit_bytes))} asked for"
    return f"{gib} GiB free here"


def explain_failure(edge: Edge) -> str:
    """Return why the smallest that did not run did not, or a probe has no outcome."""
    own = edge.smallest or edge.lost or edge.too_long or edge.skipped
    if own is None:
        return ""
    if edge.excess_bytes is not None and edge.limit_bytes is not None:
        return "its peak is above the limit"
    return own.reason or own.status or ""
