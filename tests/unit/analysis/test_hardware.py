"""Machines of one kind are one side of a comparison, and no others."""

from __future__ import annotations

import pytest

from txtop import resources
from txtop.analysis.hardware import get_hardware_key, group_by_kind
from txtop.session.reader import read_all
from txtop.state.fold import fold_all
from txtop.state.session import SessionState, WatchedDevice


def read_state(events: int | None = None) -> SessionState:
    recording = resources.find_directory("sessions") / "gpt2-precisions.jsonl"
    return fold_all(read_all(recording)[0][:events])


@pytest.mark.parametrize("order", [("whole", "begun"), ("begun", "whole")])
def test_a_session_that_loaded_nothing_is_of_the_kind_of_its_processor(
    order: tuple[str, str],
) -> None:
    states = {"whole": read_state(), "begun": read_state(1)}
    assert not states["begun"].loads
    assert [*group_by_kind({name: states[name] for name in order})] == [", ".join(order)]


def test_the_number_of_gpus_is_part_of_the_kind() -> None:
    one, two = read_state(), read_state()
    for state, count in ((one, 1), (two, 2)):
        for number in range(count):
            state.devices[f"GPU-{number}"] = WatchedDevice(label="H200")
    assert get_hardware_key(one) != get_hardware_key(two)
    assert len(group_by_kind({"one": one, "two": two, "again": one})) == 2
