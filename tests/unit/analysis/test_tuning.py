"""What a race derives from its candidates: who is beyond a bound, and what binds."""

from __future__ import annotations

import msgspec
import pytest

from support import race_session
from txtop.analysis.tuning import explain_too_large, find_result
from txtop.export.text.tuning import format_tuning
from txtop.protocol import events
from txtop.state.fold import fold_all
from txtop.state.session import SessionState
from txtop.system.gpus import CONTEXT_BYTES

GIB = 1 << 30


def race_on_a_gpu(reserved_bytes: int, device: str = "cuda:0") -> SessionState:
    """Return a race whose candidates reserved that much, of a GPU that they shared."""
    return fold_all(
        [
            msgspec.structs.replace(event, reserved_bytes=reserved_bytes, device_bytes=70 * GIB)
            if isinstance(event, events.Memory)
            else msgspec.structs.replace(event, device=device)
            if isinstance(event, events.ModelLoaded)
            else event
            for event in race_session.Race().events()
        ]
    )


@pytest.mark.parametrize("beyond", [0, 1 << 20])
def test_what_a_context_takes_is_held_against_the_memory_too(beyond: int) -> None:
    """The forecast that admits counts it."""
    state = race_on_a_gpu(4 * GIB - CONTEXT_BYTES + beyond)
    result = find_result(state)
    assert result is not None
    why = explain_too_large(state, result.winner.cell.id)
    assert why == ("took 4.001 GiB with a CUDA context, 4.000 GiB asked for" if beyond else "")
    (kept,) = (line for line in format_tuning(state) if "keeps:" in line)
    assert (
        f"memory {'4.001 of 4.000' if beyond else '4.00 of 4.00'} GiB with a CUDA context" in kept
    )


def test_other_devices_have_no_context_of_cuda() -> None:
    state = race_on_a_gpu(4 * GIB, "xpu:0")
    assert not any(explain_too_large(state, name) for name in state.cells)
