"""A matrix before it is measured: what fits, what is refused, and what it will take."""

from __future__ import annotations

import pytest

from support import ui_events
from txtop.forecast.history import CellDuration, RunHistory, normalise_cell
from txtop.forecast.memory_fit import FreeMemory, read_free_memory
from txtop.forecast.preview import CellPreview, build_matrix_preview
from txtop.models import model_size
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.cell import Cell
from txtop.state.fold import fold
from txtop.state.session import SessionState

GIB = 1 << 30


@pytest.mark.parametrize(
    ("needs", "free", "said"),
    [
        (10, 100, "fits"),
        (85, 100, "fits"),
        (86, 100, "tight"),
        (100, 100, "tight"),
        (101, 100, "will not fit"),
        (1, 0, "will not fit"),
        (None, 100, "unknown"),
        (10, None, "unknown"),
    ],
)
def test_what_fits(needs: int | None, free: float | None, said: str) -> None:
    assert CellPreview(Cell(id="c", model="m"), "planned", "", needs).fit(free) == said


@pytest.mark.parametrize(
    ("device", "gpus", "free"),
    [
        ("auto", (), (4.0, "RAM")),
        ("cpu", (9.0,), (4.0, "RAM")),
        ("auto", (9.0, 1.0), (9.0, "VRAM")),
        ("cuda", (9.0,), (9.0, "VRAM")),
        ("cuda", (), (None, "memory of cuda")),
        ("mps", (), (None, "memory of mps")),
    ],
)
def test_a_cell_needs_memory_where_it_runs(
    device: str, gpus: tuple[float, ...], free: tuple[float | None, str]
) -> None:
    assert FreeMemory(4.0, gpus).for_device(device) == free


def test_room_is_what_the_sampler_read_last() -> None:
    state = SessionState()
    assert read_free_memory(state) == FreeMemory()
    for event in ui_events.Story(ui_events.sweep(), gpus=2).samples():
        fold(state, event)
    assert read_free_memory(state) == FreeMemory(
        pytest.approx(15.6 * GIB), (pytest.approx(137.9 * GIB), pytest.approx(137.9 * GIB))
    )


def test_each_cell_is_told_from_the_others() -> None:
    wanted = RunOptions(
        models=["gpt2", "bert-base-uncased", "someone/unknown"],
        batch_sizes=[1, 4096],
        sequence_lengths=[128, 2048],
        new_tokens=[8, 32],
    )
    found = build_matrix_preview(wanted, RunHistory())
    assert len(found.cells) == 3 * 2 * 2 * 2
    assert found.plan is None and "longer than the context of gpt2 (1024)" in found.error

    def fates(model: str) -> dict[str, int]:
        cells = [each for each in found.cells if each.cell.model == model]
        return {fate: sum(c.fate == fate for c in cells) for fate in ("planned", "refused")}

    assert fates("gpt2") == {"planned": 4, "refused": 4}
    assert fates("someone/unknown") == {"planned": 8, "refused": 0}
    bert = [each for each in found.cells if each.cell.model.startswith("bert")]
    assert [each.fate for each in bert].count("left out") == 4
    assert all("one cell is enough" in each.why for each in bert if each.fate == "left out")
    refused = [each for each in bert if each.fate == "refused"]
    assert [(c.cell.sequence_length, "context" in c.why) for c in refused] == [(2048, True)] * 2
    counts = found.counts(FreeMemory(ram=8.0 * GIB))
    assert counts == {
        "planned": 4 + 2 + 8, "refused": 4 + 2, "left out": 4,
        "unknown": 8, "will not fit": 2, "fits": 2 + 2,
    }  # fmt: skip
    assert found.counts(FreeMemory())["unknown"] == 14


def test_memory_is_what_the_cells_of_a_run_are_told_to_need() -> None:
    found = build_matrix_preview(RunOptions(models=["gpt2"], batch_sizes=[1, 64]), RunHistory())
    assert [each.needs for each in found.cells] == [
        model_size.predict_bytes(each.cell) for each in found.cells
    ]
    assert found.cells[1].needs and found.cells[0].needs == 4 * (124_439_808 + 18_432 * 160)


def test_what_can_be_asked_has_its_plan_command_and_time() -> None:
    wanted = RunOptions(models=["gpt2"], precisions=["bf16"], budget_s=10.0)
    plan = build_plan(wanted)
    past = RunHistory(
        cells={normalise_cell(plan.cells[0]): CellDuration(1.0, 7.0, settled=True)},
        loads_s={"x": 2.0},
    )
    found = build_matrix_preview(wanted, past)
    assert found.plan == plan and not found.error
    assert found.command == "txtop run --precisions bf16 --budget 10"
    assert found.time.seconds == 9.0


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (RunOptions(precisions=[]), "choose at least one precision"),
        (RunOptions(new_tokens=[]), "choose at least one number of new tokens"),
        (RunOptions(batch_sizes=list(range(1, 10_002))), "are more than 10000"),
        (RunOptions(models=["x" * 2000]), "a model name of over 1,000 characters"),
        (RunOptions(models=["t5-small"], attention=["flash_attention_2"]), "no cell is left"),
    ],
)
def test_what_cannot_be_asked_is_one_line(wanted: RunOptions, said: str) -> None:
    found = build_matrix_preview(wanted, RunHistory())
    assert found.plan is None and said in found.error
