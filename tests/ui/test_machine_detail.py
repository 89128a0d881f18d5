"""The machine with all the room: cores, GPUs with their histories, and who else is there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from support import ui_events
from support.panels import G
from support.pilot import opened, text, until
from support.ui_events import Story, folded, sweep
from txtop.protocol import codec, events
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState, list_gpus
from txtop.ui.drawing import charts, glyphs
from txtop.ui.drawing.area import Area
from txtop.ui.drawing.glyphs import GlyphMode, Glyphs
from txtop.ui.drawing.spans import measure_row
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.machine import MBU, Gauge, RooflineView, build_machine
from txtop.ui.models.machine_detail import (
    NO_MACHINE_DETAIL,
    NO_PROGRAMS,
    Core,
    ForeignProcessView,
    MachineDetailView,
    build_machine_detail,
)
from txtop.ui.models.view import build_view
from txtop.ui.modes import ReplayMode
from txtop.ui.panels.machine import render_machine
from txtop.ui.panels.machine_cores import render_cores

TRAINER = events.ForeignProcess(pid=4123, name="trainer", memory_bytes=21 << 30)
HOSTILE = events.ForeignProcess(pid=5, name="\x1b[31m[b]x\u202e")


def state(
    gpus: int = 0,
    cores: int = 0,
    foreign: tuple[events.ForeignProcess, ...] | None = (),
    thermal: int = 0,
) -> SessionState:
    story = Story(sweep(), gpus=gpus, cores=cores, foreign=foreign)
    story.throttle = thermal
    return folded(story.whole(), until_s=30)


def lines(
    session: SessionState,
    width: int,
    height: int,
    mode: GlyphMode = "braille",
    *,
    programs: Mapping[int, str] = NO_PROGRAMS,
) -> list[str]:
    rows = render_machine(
        build_machine(session),
        Area(width, height, Glyphs(mode), boxed=width >= 100),
        build_machine_detail(session, programs=programs),
    )
    assert len(rows) == height and all(measure_row(row) == width for row in rows)
    return ["".join(part for part, _ in row) for row in rows]


def test_each_core_has_its_load_and_its_history() -> None:
    detail = build_machine_detail(state(cores=3))
    assert [core.number for core in detail.cores] == [0, 1, 2]
    assert all(core.now == core.history[-1] for core in detail.cores)
    assert {len(core.history) for core in detail.cores} == {31}
    assert detail.swap is not None and (detail.swap.value, detail.swap.capacity) == ("0.5", "8")
    assert [(f.label, f.value) for f in detail.host][:1] == [("load average", "12.5")]


def test_two_seconds_without_a_reading_are_a_hole_in_the_history() -> None:
    session = SessionState()
    for second, load in ((1, 10.0), (2, None), (3, 30.0), (6, 40.0)):
        for core in range(2):
            told = events.Telemetry(
                t_ns=second * ui_events.S, device="host", values={f"core_{core}_percent": load}
            )
            fold(session, told)
    late = events.Telemetry(t_ns=6 * ui_events.S, device="host", values={"core_1_percent": 50.0})
    fold(session, late)
    first, second_core = build_machine_detail(session).cores
    assert first.history == (10.0, None, 30.0, 30.0, None, 40.0)
    assert second_core.history == (10.0, None, 30.0, 30.0, None, 50.0)


def test_a_host_that_fell_silent_has_no_load_now() -> None:
    session = state(cores=2)
    fold(session, events.Gap(t_ns=session.clock_ns + 1, producer="sampler", reason="gone"))
    assert [core.now for core in build_machine_detail(session).cores] == [None, None]
    assert build_machine_detail(session).host == ()
    assert any(line.split()[:2] == ["│", "CPU"] and "—" in line for line in lines(session, 120, 30))


def test_others_are_named_none_or_not_to_be_seen() -> None:
    assert build_machine_detail(state(gpus=2, foreign=(TRAINER,))).others == (
        ForeignProcessView(0, 4123, "trainer", "21.0"),
        ForeignProcessView(1, 4123, "trainer", "21.0"),
    )
    assert build_machine_detail(state(gpus=2, foreign=())).others == ()
    assert build_machine_detail(state(gpus=2, foreign=None)).others is None
    drawn = "\n".join(lines(state(gpus=2, foreign=(TRAINER,)), 80, 22))
    assert "4123  trainer" in drawn and "21.0 GiB" in drawn
    assert "none on these GPUs" in "\n".join(lines(state(gpus=2), 80, 22))
    assert "other processes" not in "\n".join(lines(state(gpus=2, foreign=None), 80, 22))


@pytest.mark.parametrize("size", [(120, 16), (80, 22), (86, 20)])
def test_who_uses_the_processor_is_named_where_there_is_room(size: tuple[int, int]) -> None:
    session = state(cores=2)
    assert build_machine_detail(session).busy is None
    read = events.Telemetry(
        t_ns=session.clock_ns, device="host", values={"others_cpu_s": 1.0}, foreign=()
    )
    fold(session, read)
    assert build_machine_detail(session).busy == ()
    programs = {7: "make -j"}
    idle = lines(session, *size, programs=programs)
    heading = next(y for y, line in enumerate(idle) if "processes" in line)
    assert "listed while they use a quarter of a core" in idle[heading]
    processes = (
        events.ForeignProcess(pid=7, name="make", cores=0.2),
        events.ForeignProcess(pid=1234567, name="\x1b[31mtrainer" + "r" * 60, cores=1.5),
    )
    told = events.Telemetry(t_ns=session.clock_ns, device="host", values={}, foreign=processes)
    fold(session, told)
    drawn = lines(session, *size, programs=programs)
    assert "processes" in drawn[heading] and "cores used" in drawn[heading]
    assert r"\x1b[31mtrainer" in drawn[heading + 1] and "pid 1234567" in drawn[heading + 1]
    assert "0.20" in drawn[heading + 2] and "make -j " in drawn[heading + 2]
    # Nothing moves when somebody begins.
    assert drawn[:heading] == idle[:heading] and drawn[heading + 3 :] == idle[heading + 3 :]
    bars = [line.count("━") for line in drawn[heading + 1 : heading + 3]]
    assert bars[0] > 3 * bars[1] > 0


def test_a_hostile_name_is_inert() -> None:
    drawn = "\n".join(lines(state(gpus=1, foreign=(HOSTILE,)), 80, 22))
    assert r"\x1b[31m[b]x\u202e" in drawn and "\x1b" not in drawn


@pytest.mark.parametrize("gpus", [0, 1, 8])
def test_what_bounds_the_cell_is_said_here_too(gpus: int) -> None:
    session = state(gpus=gpus, cores=2)
    gauge = Gauge(MBU, "41", "%", (40.0, 41.0), 100.0)
    device = ui_events.GPU[:-1] + "0" if gpus else None
    bound = RooflineView(device, gauge, "memory bandwidth", "41", "published")
    for width, height in ((80, 22), (116, 36)):
        rows = render_machine(
            build_machine(session, None, bound),
            Area(width, height, G),
            build_machine_detail(session),
        )
        drawn = ["".join(part for part, _ in row) for row in rows]
        assert sum("limited by memory: 41 % of the published peak" in line for line in drawn) == 1
        assert sum("MBU " in line and "41 %" in line for line in drawn) == 1


@pytest.mark.fault(33)
@pytest.mark.parametrize("size", [(80, 22), (116, 36), (200, 57)])
@pytest.mark.parametrize("cores", [2, 64])
def test_eight_gpus_and_all_cores_are_there(size: tuple[int, int], cores: int) -> None:
    drawn = lines(state(gpus=8, cores=cores, foreign=(TRAINER,), thermal=0x20), *size)
    for number in range(8):
        line = next(line for line in drawn if f"GPU {number} " in line)
        history = line.partition(f"GPU {number} ")[2]
        assert "%" in history and any("\u2801" <= sign <= "\u28ff" for sign in history)
    assert "\n".join(drawn).count("▲ thermal") == 8
    whole_text = "\n".join(drawn)
    named = [f"core {number} " if cores == 2 else f" {number:>2} " for number in range(cores)]
    grid = sum(name in whole_text for name in named)
    assert "cores  64, each as high" in whole_text or grid == cores
    assert "4123  trainer" in whole_text


@pytest.mark.fault(33)
@pytest.mark.parametrize("mode", ["braille", "blocks", "ascii"])
def test_any_room_is_filled_exactly(mode: GlyphMode, monkeypatch: pytest.MonkeyPatch) -> None:
    # Marks of a cut are those of the terminal.
    monkeypatch.setattr(glyphs, "_current", Glyphs(mode))
    for gpus, cores in ((0, 0), (0, 64), (1, 2), (8, 64)):
        session = state(gpus=gpus, cores=cores, foreign=(TRAINER, HOSTILE))
        for width in (1, 7, 30, 60, 99, 100, 250):
            for height in (1, 2, 5, 12, 24, 80):
                drawn = lines(session, width, height, mode)
                assert mode != "ascii" or all(map(str.isascii, drawn))


def test_a_core_nobody_read_is_no_idle_core() -> None:
    one = [Core(0, 0.0, (0.0,)), Core(1, None), Core(2, 100.0, (100.0,))]
    strip = render_cores(one, 20, 2, Glyphs("ascii"))
    assert strip[1] == [(".?#", "plot")]
    grid = render_cores(one, 20, 4, G)
    assert [row[1][0].strip() for row in grid[1:]] == ["0", "—", "100"]


def test_a_small_terminal_has_the_load_of_every_gpu() -> None:
    several = lines(state(gpus=8), 80, 4)
    loads = next(line for line in several if "load of each GPU" in line)
    assert len(loads.replace("load of each GPU", "").split()) == 8 + 1
    assert "load of each" not in "\n".join(lines(state(gpus=1), 80, 4))


@pytest.mark.parametrize("foreign", [(), (TRAINER,)])
def test_of_two_gpus_a_small_terminal_has_both(
    foreign: tuple[events.ForeignProcess, ...],
) -> None:
    """Beside a warning it has the load of the second alone, else its memory and power too."""
    last = lines(state(gpus=2, foreign=foreign), 80, 4)[-1]
    own, second = build_machine(state(gpus=2, foreign=foreign)).gpus
    assert f"power {own.gauges[2].value} W" in last
    load, memory, power = (gauge.value for gauge in second.gauges)
    whole = f"GPU 1 {load} %  {memory} GiB  {power} W"
    assert ("1 other here" in last) == bool(foreign)
    assert (f"GPU 1 {load} %" if foreign else whole) in last


def test_without_a_run_who_holds_the_memory_is_named() -> None:
    """As on the home screen, where nothing is measured yet."""
    story = Story(sweep(), gpus=1, cores=2, foreign=(TRAINER,))
    told = [event for event in story.whole() if isinstance(event, events.Telemetry)]
    for event in told:
        event.values.pop("foreign_processes", None)
    session = fold_all(told)
    assert "held by trainer 21.0 GiB" in lines(session, 80, 4)[-1]
    drawn = "\n".join(lines(session, 120, 16))
    assert "memory held on these GPUs" in drawn and "4123  trainer" in drawn
    assert build_machine_detail(fold_all(told[:1])).others is None


def test_an_area_is_a_filled_spark_of_several_rows() -> None:
    points = [0.0, 25.0, 50.0, 75.0, 100.0, 100.0]
    assert charts.draw_area(points, 3, 1, 100.0, G) == ["⣀⣴⣿"]
    assert charts.draw_area(points, 6, 1, 100.0, Glyphs("ascii")) == [".:=+##"]
    assert charts.draw_area(points, 3, 2, 100.0, G) == [" ⢠⣿", "⣠⣿⣿"]
    assert charts.draw_area(points, 6, 2, 100.0, Glyphs("blocks")) == ["   ▄██", "▁▄████"]
    assert charts.draw_area([None, 100.0], 2, 2, 100.0, G) == [" ⢸", " ⢸"]
    assert charts.draw_area([100.0], 1, 2, 100.0, G, apart=True) == ["⢰", "⢸"]
    assert charts.draw_area([100.0], 1, 1, 100.0, G, apart=True) == ["⢸"]
    assert charts.draw_area(points, 0, 2, 100.0, G) == ["", ""]
    assert charts.draw_area(points, 3, 0, 1.0, G) == []


def test_it_is_made_once_a_second_of_the_session() -> None:
    cache, session = FrameCache(), state(cores=2)
    first = build_view(session, cache=cache).machine_detail
    assert (
        first == build_machine_detail(session)
        and build_view(session, cache=cache).machine_detail is first
    )
    told = events.Telemetry(
        t_ns=session.clock_ns + ui_events.S, device="host", values={"core_0_percent": 7.0}
    )
    fold(session, told)
    assert build_view(session, cache=cache).machine_detail.cores[0].now == 7.0
    assert build_view(SessionState()).machine_detail == MachineDetailView()


async def test_the_key_of_the_machine_opens_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.mkdir()
    with (path / "events.jsonl").open("wb") as file:
        for number, event in enumerate(Story(sweep(), cores=2).whole(), start=1):
            if event.t_ns > 20 * ui_events.S:
                break
            event.seq = number
            file.write(codec.encode_event(event))
    for size, keys in (((80, 24), ["4"]), ((120, 40), ["4", "4"])):
        async with opened(ReplayMode(path), size=size) as (app, pilot):
            await until(pilot, lambda app=app: "gpt2" in text(app))
            await pilot.press("end", *keys)
            await until(pilot, lambda app=app: "TTFT" not in text(app))
            assert "cores  load in %" in text(app)
            await pilot.press("escape")
            await until(pilot, lambda app=app: "TTFT" in text(app))


@pytest.mark.parametrize("size", [(80, 5), (80, 14), (120, 30), (60, 9)])
@pytest.mark.parametrize("mode", ["braille", "ascii"])
def test_the_gpu_in_use_is_marked_among_several(size: tuple[int, int], mode: GlyphMode) -> None:
    session = state(gpus=8)
    cell = next(c for c in session.cells.values() if c.load is not None)
    assert cell.load is not None
    cell.load.device_id = list_gpus(session)[6][0]
    mark = Glyphs(mode)("▸") + "GPU 6"
    area = Area(*size, Glyphs(mode), boxed=size[0] >= 100)
    detail = render_machine(build_machine(session, cell), area, build_machine_detail(session))
    beside = render_machine(build_machine(session, cell), area)
    for rows in (detail, beside):
        text = "\n".join("".join(part for part, _ in row) for row in rows)
        assert text.count(mark) == 1 and text.count(mark[0] + "GPU") == 1
    alone = build_machine(state(gpus=1), cell).gpus
    assert not alone[0].used


@pytest.mark.parametrize("gpus", [1, 2, 8])
@pytest.mark.parametrize("size", [(52, 15), (86, 20), (120, 13)])
def test_gpus_have_blocks_or_a_table_and_their_problems_always(
    gpus: int, size: tuple[int, int]
) -> None:
    session = state(gpus=gpus, cores=2, thermal=0x20)
    rows = render_machine(
        build_machine(session),
        Area(*size, G, boxed=True),
        build_machine_detail(session),
    )
    drawn = "\n".join("".join(part for part, _ in row) for row in rows)
    assert drawn.count("▲ thermal") == gpus
    areas = [name for name in ("power", "clock", "VRAM") if drawn.count(f"{name} ") < gpus]
    assert not areas or gpus == 8 or (gpus == 2 and size == (52, 15)), areas
    assert gpus < 8 or all(f"GPU {number} " in drawn for number in range(gpus))


def test_nothing_of_the_panel_is_empty_where_there_is_room() -> None:
    for gpus in (0, 1, 2, 8):
        for size in ((52, 15), (86, 20)):
            session = state(gpus=gpus, cores=2)
            rows = render_machine(
                build_machine(session), Area(*size, G, boxed=True), build_machine_detail(session)
            )
            blank = sum("".join(part for part, _ in row).strip(" │") == "" for row in rows)
            assert blank <= 4, (gpus, size)


def test_the_process_of_the_model_and_what_it_reads_are_named() -> None:
    session = state(cores=2)
    cell = session.cells[session.current or ""]
    fold(
        session,
        events.Telemetry(
            t_ns=session.clock_ns + 1,
            device=f"process:{cell.worker}",
            values={"rss_bytes": 0.9 * (1 << 30)},
        ),
    )
    bound = RooflineView(None, None, "memory bandwidth", "27", "measured", reads="3.4", peak="12.7")
    rows = render_machine(
        build_machine(session, cell, bound), Area(52, 20, G, boxed=True), NO_MACHINE_DETAIL
    )
    drawn = " ".join(" ".join("".join(part for part, _ in row) for row in rows).split())
    assert "model process 0.9 GiB 2 threads" in drawn and "reads 3.4 of 12.7 GB/s" in drawn
    assert "model process" not in str(build_machine(session, None, bound).work)


@pytest.mark.parametrize("size", [(120, 38), (80, 22), (86, 24), (200, 58), (52, 19)])
def test_histories_of_the_processor_are_of_one_width_and_one_time(size: tuple[int, int]) -> None:
    session = state(cores=2)
    for _ in range(300):
        second = session.clock_ns + ui_events.S
        loads = dict.fromkeys(("cpu_percent", "core_0_percent", "core_1_percent"), 50.0)
        fold(session, events.Telemetry(t_ns=second, device="host", values=loads))
    drawn = "\n".join(lines(session, *size))
    widths = {len(area) for area in re.findall("[\u2801-\u28ff]{8,}", drawn)}
    assert len(widths) == 1, widths
    spans = re.findall(r"last (\d+) s", drawn)
    assert len(spans) == 2 and len(set(spans)) == 1 and int(spans[0]) >= widths.pop()
