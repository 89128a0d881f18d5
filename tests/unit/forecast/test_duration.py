"""The estimated duration of a run, from runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from support.streams import MS
from support.ui_sessions import session, write
from txtop.forecast.duration import estimate_duration
from txtop.forecast.history import CellDuration, RunHistory, load_history, normalise_cell
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import events
from txtop.protocol.events import AnyEvent

HERE = ("box", 8, "An Invented CPU")
GPT2 = Cell(id="x", model="gpt2", new_tokens=4)


def recorded(folder: Path, name: str = "one", **changed: Any) -> Path:
    return write(folder / name, session(**changed))


def test_a_session_teaches_iterations_and_loading(tmp_path: Path) -> None:
    recorded(tmp_path, cells=2, iterations=12)
    past = load_history(tmp_path, *HERE)
    # 12 of 40 ms to the first token and three of 25, 26 or 27 ms, each a third of the time.
    took = past.of(GPT2)
    assert took is not None and took.iteration_s == pytest.approx(0.040 + 3 * 0.026)
    assert took.iterations_s == pytest.approx(15 * 0.118)
    assert not took.settled
    assert set(past.phases_s) == set(past.loads_s) and all(past.phases_s.values())
    assert past.loads_s == {
        normalise_cell(cell).group: 0.4
        for cell in (GPT2, msgspec.structs.replace(GPT2, precision="bf16"))
    }
    assert past.of(msgspec.structs.replace(GPT2, batch_size=2)) is None
    assert past.of(msgspec.structs.replace(GPT2, weights="random", id="y")) == took


@pytest.mark.parametrize("elsewhere", [("other", 8, ""), ("box", 4, ""), ("box", 8, "Another")])
def test_another_machine_teaches_nothing(tmp_path: Path, elsewhere: tuple[str, int, str]) -> None:
    recorded(tmp_path)
    assert load_history(tmp_path, *elsewhere) == RunHistory()


def test_what_cannot_be_read_teaches_nothing(tmp_path: Path) -> None:
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk" / "events.jsonl").write_text("junk\n")
    recorded(tmp_path)
    assert load_history(tmp_path, *HERE).of(GPT2) is not None
    assert load_history(tmp_path / "nowhere", *HERE) == RunHistory()


def test_failed_cells_and_those_of_an_ab_teach_nothing(tmp_path: Path) -> None:
    recorded(tmp_path, "failed", cells=1, error="it broke")
    made = session(cells=2)
    header = made[0]
    assert isinstance(header, events.SessionHeader)
    made[0] = msgspec.structs.replace(
        header, plan=msgspec.structs.replace(header.plan, margin=0.02)
    )
    write(tmp_path / "ab", made)
    assert load_history(tmp_path, *HERE) == RunHistory()


def compared(seconds: float, positions: int) -> list[AnyEvent]:
    """Return fp32 and bf16, and their outputs compared `seconds` after them."""
    made = session(cells=2)
    ended = made.pop()
    header = made[0]
    assert isinstance(header, events.SessionHeader)
    made[0] = msgspec.structs.replace(
        header, plan=msgspec.structs.replace(header.plan, fidelity_positions=positions)
    )
    at = ended.t_ns + round(seconds * 1000) * MS
    made.append(events.Fidelity(t_ns=at, cell="c001", reference="c000", positions=positions))
    made.append(msgspec.structs.replace(ended, t_ns=at))
    for number, event in enumerate(made, start=1):
        event.seq = number
    return made


def test_comparing_outputs_is_what_is_left_between_cells(tmp_path: Path) -> None:
    write(tmp_path / "one", compared(9.9, 100))
    # The stream has 50 ms before each of its two cells.
    assert load_history(tmp_path, *HERE).position_s == {"gpt2": pytest.approx(0.1)}


def test_reading_the_gpu_is_no_comparison_and_is_expected_again(tmp_path: Path) -> None:
    made = compared(9.9, 100)
    made.insert(-1, events.DeviceTime(t_ns=made[-2].t_ns, cell="c000", took_s=4.0))
    for number, event in enumerate(made, start=1):
        event.seq = number
    write(tmp_path / "one", made)
    history = load_history(tmp_path, *HERE)
    assert history.position_s == {"gpt2": pytest.approx(0.06)}
    assert list(history.profiles_s.values()) == [4.0]
    header = made[0]
    assert isinstance(header, events.SessionHeader)
    asked = header.plan
    with_it = estimate_duration(asked, history).seconds
    without = estimate_duration(msgspec.structs.replace(asked, profile="none"), history).seconds
    assert with_it is not None and without is not None
    assert with_it - without == pytest.approx(4.0)


PAST = RunHistory(
    cells={
        normalise_cell(GPT2): CellDuration(iteration_s=0.5, iterations_s=12.0, settled=True),
        normalise_cell(msgspec.structs.replace(GPT2, batch_size=2)): CellDuration(
            20.0, 90.0, settled=False
        ),
    },
    loads_s={GPT2.group: 3.0},
    position_s={"gpt2": 0.01},
)


def cells(**knobs: Any) -> tuple[Cell, ...]:
    return (msgspec.structs.replace(GPT2, **knobs),)


@pytest.mark.parametrize(
    ("plan", "past", "seconds", "most", "basis"),
    [
        (
            Plan(cells=cells()),
            RunHistory(),
            45.0,
            True,
            "30 s a cell, 45 s if iterations are long, plus loading",
        ),
        (
            Plan(cells=cells(), budget_s=5),
            RunHistory(),
            7.5,
            True,
            "5 s a cell, 7.5 s if iterations are long, plus loading",
        ),
        (Plan(cells=cells()), PAST, 3 + 12.0, False, "as it was measured here before"),
        (Plan(cells=cells(), budget_s=5), PAST, 3 + 5.0, False, "as it was measured here before"),
        # The first takes 20 s, and three more begin within 45 s.
        (Plan(cells=cells(batch_size=2)), PAST, 3 + 80.0, False, "as it was measured here before"),
        (Plan(cells=cells(batch_size=3)), PAST, 3 + 45.0, True, "30 s a cell, 45 s"),
        (
            Plan(cells=cells() + cells(id="y", batch_size=3)),
            PAST,
            3 + 12.0 + 45.0,
            True,
            "1 of 2 cells as before, else 30 s a cell",
        ),
        (Plan(cells=cells(), iterations=10, warmup=3), PAST, 3 + 14 * 0.5, False, "as it was"),
        (Plan(cells=cells(), iterations=10), PAST, 3 + 31 * 0.5, False, "as it was"),
        (
            Plan(cells=cells(batch_size=3), iterations=10, warmup=3),
            PAST,
            None,
            False,
            "14 iterations a cell; none was measured here before",
        ),
        # Of 13 iterations those that fit into the budget: the first, and 10 of half a second.
        (Plan(cells=cells(), iterations=10, warmup=3, fitted=True), PAST, 3 + 7.0, False, "as it"),
        (
            Plan(cells=cells(), iterations=10, warmup=3, budget_s=5, fitted=True),
            PAST,
            3 + 0.5 + 5.0,
            False,
            "as it was",
        ),
        (
            Plan(cells=cells(batch_size=3), iterations=10, warmup=3, fitted=True),
            PAST,
            3 + 45.0,
            True,
            "14 iterations or 30 s a cell, 45 s if iterations are long",
        ),
        # bf16 is loaded for itself and compared with fp32.
        (
            Plan(cells=cells() + cells(id="y", precision="bf16"), fidelity_positions=100),
            PAST,
            3 + 12.0 + 3 + 45.0 + 1.0,
            True,
            "1 of 2 cells as before, else 30 s a cell",
        ),
        (
            Plan(cells=cells() + cells(id="y", precision="bf16"), fidelity_positions=100),
            RunHistory(),
            90.0,
            True,
            "30 s a cell, 45 s if iterations are long, plus loading and comparing outputs",
        ),
        (
            Plan(cells=cells() + cells(id="y", precision="bf16"), fidelity_positions=0),
            RunHistory(),
            90.0,
            True,
            "30 s a cell, 45 s if iterations are long, plus loading",
        ),
    ],
)
def test_a_guess_says_what_it_rests_on(
    plan: Plan, past: RunHistory, seconds: float | None, most: bool, basis: str
) -> None:
    estimate = estimate_duration(plan, past)
    assert estimate.seconds == (None if seconds is None else pytest.approx(seconds))
    assert estimate.most == most and estimate.basis.startswith(basis)
