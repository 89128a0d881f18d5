"""The facts of an explained cell that the rules of findings are predicates on."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from txtop.analysis.contention import is_busy
from txtop.analysis.explanation import (
    compute_request_ns,
    count_steps,
    get_phase,
    is_step_disturbed,
    rank_phases,
)
from txtop.models.attention_kernels import BF16_CAPABILITY
from txtop.models.precision_rules import BF16_FEATURES
from txtop.protocol.events import Explanation, ModelLoaded, PhaseExplanation
from txtop.state.cell import CellState
from txtop.state.session import SessionState

PRODUCTS = frozenset(
    f"aten::{name}"
    for name in ("mm", "addmm", "bmm", "baddbmm", "addmv", "mv", "_int_mm", "mkldnn_linear")
) | {"mkldnn::_linear_pointwise", "quantized::linear_dynamic"}
"""Operators that multiply matrices."""


class Facts:
    """The facts about one cell. Times are ns of a request: of each phase, by its steps."""

    def __init__(self, session: SessionState, state: CellState, explanation: Explanation) -> None:
        self.session, self.state, self.explanation = session, state, explanation
        self.cell = state.cell
        self.request_ns = max(1, compute_request_ns(explanation, state))

    @property
    def load(self) -> ModelLoaded | None:
        return self.state.load

    @property
    def on_gpu(self) -> bool:
        return self.load is not None and self.load.device != "cpu"

    @cached_property
    def weighted(self) -> list[tuple[PhaseExplanation, int]]:
        """The phases, each with its steps in a request."""
        return [(phase, count_steps(phase, self.state)) for phase in self.explanation.phases]

    @property
    def decode(self) -> PhaseExplanation | None:
        return get_phase(self.explanation, "decode")

    @property
    def main(self) -> PhaseExplanation:
        """The phase that takes the most of a request."""
        return rank_phases(self.explanation, self.state)[0]

    def sum_python_ns(self) -> float:
        """Return the time in Python between operators."""
        return sum(
            (part.ns - part.operators_ns) * steps
            for phase, steps in self.weighted
            for part in phase.parts
        )

    def sum_idle_ns(self) -> float:
        """Return the time in which a GPU waits for the host, 0 without one."""
        return sum(
            max(0, phase.step_ns - phase.busy_ns) * steps
            for phase, steps in self.weighted
            if phase.busy_ns is not None
        )

    def sum_operators_ns(
        self, names: Iterable[str] | None = None, kinds: Iterable[str] | None = None
    ) -> float:
        """Return the time of operators of these names in these kinds of modules; None for all.

        On a GPU it is that of their kernels.
        """
        wanted = None if names is None else frozenset(names)
        places = None if kinds is None else frozenset(kinds)
        return sum(
            (operator.device_ns if phase.busy_ns is not None else operator.ns) * steps
            for phase, steps in self.weighted
            for operator in phase.operators
            if (wanted is None or operator.name in wanted)
            and (places is None or operator.kind in places)
        )

    def count_reads_in_layers(self) -> int:
        """Return the modules within layers that make the host read a value in a decode step."""
        phase = self.explanation.phases[-1]
        return sum(any(name.isdigit() for name in site.split(".")) for site in phase.sync_sites)

    @property
    def is_disturbed(self) -> bool:
        """True if others used the machine while the cell was measured or explained."""
        return is_busy(self.state) or any(map(is_step_disturbed, self.explanation.phases))

    @property
    def has_fast_bf16(self) -> bool:
        """True if the device multiplies bf16 faster than fp32."""
        if self.load is None:
            return False
        if self.on_gpu:
            numbers = self.load.capability.split(".")
            is_read = all(number.isdigit() for number in numbers)
            return is_read and tuple(map(int, numbers)) >= BF16_CAPABILITY
        header = self.session.header
        return header is not None and bool(BF16_FEATURES & set(header.machine.features))
