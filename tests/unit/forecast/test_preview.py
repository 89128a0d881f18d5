"""A matrix before it is measured: cells that fit, cells that are refused, and its duration."""

from __future__ import annotations

import pytest

from support import ui_events
from txtop.forecast.history import CellDuration, RunHistory, normalise_cell
from txtop.forecast.memory import forecast_memory
from txtop.forecast.memory_fit import FreeMemory, read_free_memory
from txtop.forecast.preview import CellPreview, build_matrix_preview
from txtop.options.run_options import RunOptions
from txtop.options.run_plan import build_plan
from txtop.plan.cell import Cell
from txtop.state.fold import fold
from txtop.state.session import SessionState
from txtop.system import torch_build
from txtop.system.gpus import Gpu

GIB = 1 << 30


@pytest.mark.parametrize(
    ("needs", "free", "expected"),
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
def test_what_fits(needs: int | None, free: float | None, expected: str) -> None:
    assert CellPreview(Cell(id="c", model="m"), "planned", "", needs).fit(free) == expected


@pytest.mark.parametrize(
    ("device", "gpus", "free"),
    [
        ("auto", (), (4.0, "RAM")),
        ("cpu", (9.0,), (4.0, "RAM")),
        ("auto", (9.0, 1.0), (9.0, "VRAM")),
        ("cuda", (9.0,), (9.0, "VRAM")),
        ("cuda:1", (9.0, 1.0), (1.0, "VRAM")),
        ("cuda:2", (9.0, 1.0), (None, "VRAM")),
        ("GPU-1", (9.0, 1.0), (1.0, "VRAM")),
        ("cuda", (), (None, "memory of cuda")),
        ("mps", (), (None, "memory of mps")),
    ],
)
def test_a_cell_needs_memory_where_it_runs(
    device: str,
    gpus: tuple[float, ...],
    free: tuple[float | None, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: True)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    by_gpu: dict[Gpu, float | None] = {Gpu("L4", f"GPU-{i}"): free for i, free in enumerate(gpus)}
    assert FreeMemory(4.0, by_gpu).for_device(device) == free


def test_a_torch_without_cuda_needs_no_memory_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_build, "has_cuda", lambda: False)
    assert FreeMemory(4.0, {Gpu("L4", "GPU-0"): 9.0}).for_device("auto") == (4.0, "RAM")


def test_room_is_what_the_sampler_read_last() -> None:
    state = SessionState()
    assert read_free_memory(state) == FreeMemory()
    for event in ui_events.Story(ui_events.sweep(), gpus=2).samples():
        fold(state, event)
    free = read_free_memory(state)
    assert free.ram == pytest.approx(0.97 * 15.6 * GIB - 128 * 2**20)
    assert list(free.gpus.values()) == [pytest.approx(137.9 * GIB)] * 2


def test_each_cell_is_told_from_the_others() -> None:
    options = RunOptions(
        models=["gpt2", "bert-base-uncased", "someone/unknown"],
        batch_sizes=[1, 4096],
        sequence_lengths=[128, 2048],
        new_tokens=[8, 32],
    )
    preview = build_matrix_preview(options, RunHistory())
    assert len(preview.cells) == 3 * 2 * 2 * 2
    assert preview.plan is None and "longer than the context of gpt2 (1024)" in preview.error

    def fates(model: str) -> dict[str, int]:
        cells = [row for row in preview.cells if row.cell.model == model]
        return {fate: sum(c.fate == fate for c in cells) for fate in ("planned", "refused")}

    assert fates("gpt2") == {"planned": 4, "refused": 4}
    assert fates("someone/unknown") == {"planned": 8, "refused": 0}
    bert = [row for row in preview.cells if row.cell.model.startswith("bert")]
    assert [row.fate for row in bert].count("left out") == 4
    assert all("one cell is enough" in row.why for row in bert if row.fate == "left out")
    refused = [row for row in bert if row.fate == "refused"]
    assert [(c.cell.sequence_length, "context" in c.why) for c in refused] == [(2048, True)] * 2
    counts = preview.counts(FreeMemory(ram=8.0 * GIB))
    assert counts == {
        "planned": 4 + 2 + 8, "refused": 4 + 2, "left out": 4,
        "unknown": 8, "will not fit": 2 + 1, "fits": 2 + 1,
    }  # fmt: skip
    assert preview.counts(FreeMemory())["unknown"] == 14


def test_memory_is_what_the_cells_of_a_run_are_told_to_need() -> None:
    preview = build_matrix_preview(RunOptions(models=["gpt2"], batch_sizes=[1, 64]), RunHistory())
    assert [row.needs for row in preview.cells] == [
        forecast.peak_bytes if (forecast := forecast_memory(row.cell)) else None
        for row in preview.cells
    ]
    assert [row.needs for row in preview.cells] == sorted(row.needs or 0 for row in preview.cells)


def test_what_can_be_asked_has_its_plan_command_and_time() -> None:
    options = RunOptions(models=["gpt2"], precisions=["bf16"], budget_s=10.0)
    plan = build_plan(options)
    past = RunHistory(
        cells={normalise_cell(plan.cells[0]): CellDuration(1.0, 7.0, settled=True)},
        loads_s={"x": 2.0},
    )
    preview = build_matrix_preview(options, past)
    assert preview.plan == plan and not preview.error
    assert preview.command == "txtop run --precisions bf16 --budget 10"
    assert preview.time.seconds == 9.0


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (RunOptions(precisions=[]), "choose at least one precision"),
        (RunOptions(new_tokens=[]), "choose at least one number of new tokens"),
        (RunOptions(batch_sizes=list(range(1, 10_002))), "are more than 10000"),
        (RunOptions(models=["x" * 2000]), "a model name of over 1,000 characters"),
        (RunOptions(models=["t5-small"], attention=["flash_attention_2"]), "no cell is left"),
    ],
)
def test_what_cannot_be_asked_is_one_line(options: RunOptions, message: str) -> None:
    preview = build_matrix_preview(options, RunHistory())
    assert preview.plan is None and message in preview.error
