"""Find what others took from a run in series of the host, put it into words, and report it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from support import ab_sessions, streams
from support.batch_cell import conduct, exported, plan_with
from support.paths import SESSIONS
from txtop.analysis import contention, metrics
from txtop.analysis.compare import compare_sessions
from txtop.analysis.contention import HostReadings
from txtop.analysis.metrics import FinalMetrics
from txtop.analysis.ratios import compute_ratios
from txtop.export import json as export_json
from txtop.export.text import table
from txtop.export.text.ab import format_ab
from txtop.plan.plan import EdgeSearch
from txtop.protocol.events import (
    CellFinished,
    Contention,
    DisturbedBlock,
    ForeignProcess,
    Telemetry,
)
from txtop.runner.block_validity import MAX_REPEATS, Repeats, may_repeat_in_race
from txtop.session.reader import read_all
from txtop.state.cell import CellState
from txtop.state.fold import fold, fold_all
from txtop.state.session import HOST, SessionState
from txtop.ui.models.ab_comparison import build_ab_comparison
from txtop.ui.models.cache import FrameCache
from txtop.ui.models.cell_detail.facts import build_fact_groups
from txtop.ui.models.hero import build_hero

S = 1_000_000_000
PYTHON = ForeignProcess(pid=26086, name="python", cores=0.9)
OTHERS = (
    PYTHON,
    ForeignProcess(pid=7, name="cc1plus", cores=0.5),
    ForeignProcess(pid=8, cores=0.2),
)
Values = dict[str, float | None]


def listen(
    values_at: Callable[[float], Values], seconds: float = 10.0, cores: int = 2
) -> SessionState:
    """Return a session with five readings of the host a second."""
    header, segment = streams.stream()[:2]
    machine = msgspec.structs.replace(header.machine, cores_logical=cores)  # type: ignore[attr-defined]
    header.machine = machine  # type: ignore[attr-defined]
    session = fold_all([header, segment])
    for tick in range(round(seconds * 5) + 1):
        event = Telemetry(t_ns=header.t_ns + tick * S // 5, device=HOST, values=values_at(tick / 5))
        event.foreign = OTHERS if tick == 0 else None
        fold(session, event)
    return session


def judge(
    values_at: Callable[[float], Values], from_s: float, to_s: float, **about: int
) -> list[tuple[str, float]]:
    session = listen(values_at, cores=about.get("cores", 2))
    host = HostReadings.from_session(session, computes=not about.get("gpu"))
    assert host is not None
    taken = contention.find_contention(host, 0, round(from_s * S), round(to_s * S))
    return [(one.kind, round(one.size, 3)) for one in taken]


def hog_from(start_s: float, cores: float, waited: float) -> Callable[[float], Values]:
    """Return the readings of a machine on which others begin to use so many cores."""
    return lambda s: {
        "others_cpu_s": max(0.0, s - start_s) * cores,
        "waited_percent": 100 * waited if s > start_s else 0.2,
        "steal_s": 79.0, "pressure_s": s, "cpu_percent": 60.0,
    }  # fmt: skip


def test_a_thread_that_others_made_wait() -> None:
    hog = hog_from(5.0, 1.5, 0.48)
    assert judge(hog, 2.0, 2.1) == []
    assert judge(hog, 6.0, 6.1) == [("waited", 0.48)]
    assert judge(hog, 6.0, 9.0) == [("waited", 0.48)]
    # A GPU's launching thread waits too, but what others use beside it is no concern of it.
    assert judge(hog, 6.0, 6.1, gpu=1) == [("waited", 0.48)]


def test_more_threads_than_cores_wait_for_each_other() -> None:
    assert judge(hog_from(0.0, 0.05, 0.75), 6.0, 7.0) == []


def test_others_beside_the_run_disturb_it_from_half_a_core_on() -> None:
    assert judge(hog_from(0.0, 0.4, 0.01), 6.0, 7.0) == []
    assert judge(hog_from(0.0, 1.0, 0.01), 6.0, 7.0) == [("others", 1.0)]
    assert judge(hog_from(0.0, 1.0, 0.01), 6.0, 7.0, gpu=1) == []
    assert judge(hog_from(0.0, 1.0, 0.01), 6.0, 7.0, cores=64) == []
    assert judge(hog_from(0.0, 7.0, 0.01), 6.0, 7.0, cores=64) == [("others", 7.0)]


def test_time_that_a_hypervisor_stole() -> None:
    def stolen(share: float) -> Callable[[float], Values]:
        return lambda s: {"steal_s": 70 + math.floor(s * share * 100) / 100, "cpu_percent": 50.0}

    assert judge(stolen(0.002), 0.0, 0.1) == judge(stolen(0.02), 4.0, 8.0) == []
    ((kind, share),) = judge(stolen(0.3), 4.0, 8.0)
    assert kind == "stolen" and share == pytest.approx(0.3, abs=0.02)


def test_a_clock_that_fell() -> None:
    def clock(mhz: float) -> Callable[[float], Values]:
        return lambda s: {"cpu_clock_mhz": mhz if s >= 8 else 4000 + 500 * (round(s) % 2)}

    assert judge(clock(3500.0), 8.4, 8.6) == []
    assert judge(clock(2000.0), 8.4, 8.6) == [("clock", 0.5)]
    assert judge(clock(2000.0), 8.4, 8.6, gpu=1) == []


def test_pressure_stands_in_where_the_kernel_counts_no_waits() -> None:
    def pressed(share: float) -> Callable[[float], Values]:
        return lambda s: {
            "others_cpu_s": 0.3 * s, "waited_percent": None, "pressure_s": share * s,
        }  # fmt: skip

    assert judge(pressed(0.1), 4.0, 5.0) == []
    assert judge(pressed(0.6), 4.0, 5.0) == [("waited", 0.6)]


def test_a_quiet_machine_gives_no_word_in_a_thousand_blocks() -> None:
    """Noise of an idle machine: ticks of 10 ms, services, the screen; a burst every few seconds."""
    draw = random.Random(5)
    ran = {"others": 0.0}

    def quiet(s: float) -> Values:
        ran["others"] += draw.choice((0.0, 0.0, 0.0, 0.005, 0.02))
        return {
            "others_cpu_s": ran["others"] + draw.choice((-0.01, 0.0, 0.01)),
            "waited_percent": draw.choice((0.0, 0.1, 0.3, 0.8, 2.0, 4.0)),
            "steal_s": 79 + math.floor(s * 0.004 * 100) / 100,
            "cpu_percent": 55.0, "pressure_s": 0.02 * s, "cpu_clock_mhz": draw.gauss(3000, 150),
        }  # fmt: skip

    session = listen(quiet, seconds=120)
    host = HostReadings.from_session(session, computes=True)
    assert host is not None
    for block in range(1, 1100):
        at = block * S // 10
        assert contention.find_contention(host, 0, at, at + S // 10) == []


def test_an_older_recording_has_no_verdict() -> None:
    assert judge(lambda s: {"cpu_percent": 100.0, "load_1": 9.0}, 4.0, 5.0) == []


def test_the_words() -> None:
    waited = Contention(kind="waited", size=0.483, processes=OTHERS)
    text = "waited 48 % for a processor: python 26086 and 2 more"
    assert contention.describe_contention(waited) == text
    two = Contention(kind="others", size=1.04, processes=OTHERS[:2])
    assert contention.describe_contention(two) == "others used 1.0 cores: python 26086 and 1 more"
    alone = Contention(kind="waited", size=0.1)
    assert contention.describe_contention(alone) == "waited 10 % for a processor"
    stolen = contention.describe_contention(Contention(kind="stolen", size=0.2))
    assert stolen == "20 % of the processors stolen from this virtual machine"
    fell = contention.describe_contention(Contention(kind="clock", size=0.3))
    assert fell == "the processor's clock fell by 30 %"


def test_blocks_are_summed_up_by_their_iterations() -> None:
    half = Contention(kind="waited", size=0.5, processes=OTHERS[1:2])
    tenth = Contention(kind="waited", size=0.1, processes=OTHERS[:1])
    beside = Contention(kind="others", size=1.0, processes=OTHERS[2:])
    (summed,) = contention.sum_up([(3, [half]), (1, [tenth]), (2, [beside])])
    assert (summed.kind, summed.size) == ("waited", pytest.approx(0.4))
    assert [p.pid for p in summed.processes] == [7, 26086]
    (summed,) = contention.sum_up([(3, [half]), (4, [beside])])
    assert summed.kind == "others"


def test_the_line_before_a_run() -> None:
    session = listen(hog_from(0.0, 1.5, 0.9), seconds=0.8)
    assert contention.describe_busy_start(session, 0) is None
    session = listen(hog_from(0.0, 1.5, 0.9), seconds=1.2)
    line = "this machine is busy: others used 1.5 cores: python 26086 and 2 more"
    assert contention.describe_busy_start(session, 0) == line
    assert contention.describe_busy_start(session, S) is None
    # A worker that loads and waits for its own parts is no word on the machine.
    session = listen(hog_from(0.0, 0.2, 0.9), seconds=1.2)
    assert contention.describe_busy_start(session, 0) == ""


def test_repeats_while_others_come_take_half_a_budget() -> None:
    repeats = Repeats(budget_s=10.0)
    assert [repeats.allow(busy=True, duration_ns=S) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [repeats.allow(busy=False, duration_ns=S) for _ in range(4)] == [True] * 3 + [False]
    few = Repeats(budget_s=10.0, planned=8)
    assert [few.allow(busy=True, duration_ns=S, count=2) for _ in range(6)] == [True] * 4 + [
        False
    ] * 2
    long = Repeats(budget_s=120.0)
    assert sum(long.allow(busy=True, duration_ns=S) for _ in range(60)) == 15
    slow = Repeats(budget_s=10.0)
    allowed = [slow.allow(busy=True, duration_ns=20 * S) for _ in range(4)]
    assert sum(allowed) == MAX_REPEATS


def test_repeats_of_several_starts_are_dealt_over_them() -> None:
    repeats, taken = Repeats(budget_s=120.0), []
    for start in range(1, 5):
        repeats.dealt = start / 4
        taken.append(sum(repeats.allow(busy=True, duration_ns=S) for _ in range(20)))
    assert taken == [4, 4, 4, 3]


def test_repeats_of_a_race_are_dealt_over_it() -> None:
    """On a machine that is never calm each quarter has as many; the time for them is no longer."""

    def may_repeat(repeated: int, spent_s: float, block_s: float = 0.1) -> bool:
        repeated_s = repeated * 0.1
        return may_repeat_in_race(repeated, repeated_s, block_s, budget_s=20.0, spent_s=spent_s)

    taken = [0, 0, 0, 0]
    for number in range(200):
        taken[number // 50] += may_repeat(sum(taken), number / 10)
    assert all(23 <= count <= 28 for count in taken) and sum(taken) <= 100
    first = [may_repeat(repeated, spent_s=0.0) for repeated in range(6)]
    assert first == [True] * MAX_REPEATS + [False] * 3
    assert not may_repeat(0, 20.0, block_s=28.0), "a call that is longer than all of it"


# A cell from its schedule to what is printed


@pytest.fixture(autouse=True)
def _judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge neighbours, which the other tests ignore."""
    monkeypatch.delenv("TXTOP_NEIGHBOURS")


def run(hog_s: tuple[float, float], **changed: object) -> tuple[SessionState, CellState]:
    """Measure iterations of 0.1 s that take twice as long while others are there."""
    low, high = hog_s

    def host(s: float) -> Values:
        ran = min(max(0.0, s - low), high - low)
        waited = 48.0 if low < s <= high + 0.2 else 0.3
        return {"others_cpu_s": 1.4 * ran, "waited_percent": waited, "cpu_percent": 90.0}

    session, state, schedule = conduct(
        plan_with(warmup=0, **changed),
        lambda index: 100.0 + index % 3 / 10,
        host=host,
        others=OTHERS,
        slowed=lambda s: 2.0 if low <= s < high else 1.0,
    )
    assert schedule.stopped_by
    return session, state


def end(session: SessionState) -> CellState:
    t_ns = session.clock_ns + streams.stream()[0].t_ns
    fold(session, CellFinished(t_ns=t_ns, cell="c001", status="ok", stopped_by="iterations"))
    return session.cells["c001"]


def test_ten_seconds_of_others_are_repeated_and_leave_no_trace() -> None:
    session, state = run((5.0, 15.0), iterations=150, budget_s=30.0)
    assert len(state.samples.kept()) == 150
    cell = exported(session)
    assert cell.metrics["e2e_ms"].mean == pytest.approx(100.1, rel=0.005)
    assert cell.metrics["e2e_ms"].ci95 is not None and not cell.busy
    (note,) = [n for n in cell.notes if "block" in n]
    assert note.endswith("repeated: waited 48 % for a processor: python 26086 and 2 more")
    (line,) = [line.text for line in session.log if "block" in line.text]
    assert line.startswith("block of 1 repeated: waited")


def test_others_throughout_make_the_cell_busy_without_an_interval() -> None:
    session, _ = run((0.0, 1e6), iterations=40, budget_s=6.0)
    state = end(session)
    cell = exported(session)
    assert cell.busy and cell.status == "ok"
    assert cell.metrics["tokens_per_s"].ci95 is None
    assert contention.NO_INTERVAL_NOTE in cell.metrics["tokens_per_s"].notes
    assert metrics.summarise_live(state, "tokens_per_s").ci95 is None
    busy = "busy: waited 48 % for a processor: python 26086 and 2 more"
    assert f"{busy}, in 40 of 40 iterations; no interval" in cell.notes
    assert sum("block" in line.text for line in session.log) == 2
    report = table.format_report(session, FinalMetrics())
    assert "ok, busy" in report and busy in report
    assert busy in table.format_cell_line(state, FinalMetrics(), 0)
    hero = build_hero(session, state, {}, FrameCache())
    assert (hero.mark, hero.word, hero.half) == ("▲", "BUSY", "")
    assert hero.why == "waited 48 % for a processor: python 26086 and 2 more"
    facts = [f for group in build_fact_groups(session, state, FrameCache()) for f in group.said]
    blocks = [fact.text for fact in facts if fact.label == "blocks"]
    assert len(blocks) == 2 and "discarded: waited 48 %" in blocks[0] and "kept" in blocks[1]


def test_a_search_for_what_fits_repeats_nothing() -> None:
    """A repeat may run out of memory where all that was asked for had run."""
    search = EdgeSearch(largest="batch-size", base=plan_with().cells[0])
    session, state = run((0.0, 1e6), iterations=3, edge_search=search)
    assert state.samples.role == ["first", *["measured"] * 3] and not state.samples.discarded
    (line,) = [line.text for line in session.log if "block" in line.text]
    assert line.startswith("block of 1 kept, since what fits does not depend on it: waited")
    assert exported(end(session) and session).busy


def test_a_running_cell_says_so_at_once() -> None:
    session = listen(hog_from(5.0, 1.5, 0.48), seconds=7.0)
    state = session.cells["c001"]
    session.working.add("c001")
    state.stage = "measuring"
    hero = build_hero(session, state, {}, FrameCache())
    assert (hero.word, hero.why[:10]) == ("BUSY", "waited 48 ")
    calm = listen(hog_from(5.0, 1.5, 0.48), seconds=4.0)
    calm.cells["c001"].stage = "measuring"
    assert build_hero(calm, calm.cells["c001"], {}, FrameCache()).word == "measuring"


# Sessions that are compared


def recorded(path: Path, *, busy: bool) -> SessionState:
    made = streams.stream(streams.plan(("gpt2",), 12))
    last = max(i for i, event in enumerate(made) if event.__class__.__name__ == "Iteration")
    if busy:
        block = DisturbedBlock(
            t_ns=made[last].t_ns, cell="c001", first=3, count=4, kept=True, reasons=["waited"],
            contention=[Contention(kind="waited", size=0.3, processes=(PYTHON,))],
        )  # fmt: skip
        made.insert(last + 1, block)
    streams.write(path, made)
    return fold_all(read_all(path)[0])


def test_a_busy_side_has_no_verdict_but_that_word(tmp_path: Path) -> None:
    calm, busy = (
        recorded(tmp_path / "a.jsonl", busy=False),
        recorded(tmp_path / "b.jsonl", busy=True),
    )
    (cell,) = compare_sessions([calm], [calm], 0.03).cells
    assert cell.verdict != "busy"
    both = compare_sessions([calm], [busy], 0.03)
    (cell,) = both.cells
    assert cell.verdict == "busy" and both.outcome == "inconclusive" and both.exit_code == 3
    assert cell.contrast is not None and cell.contrast.ci95 is None and cell.contrast.ratio
    assert "busy in new: waited 30 % for a processor: python 26086" in cell.notes


def test_ratios_inside_a_session_have_none_either() -> None:
    session = fold_all(read_all(SESSIONS / "gpt2-precisions.jsonl")[0])
    verdicts = [ratio.contrast.verdict for ratio in compute_ratios(session)]
    assert verdicts and "busy" not in verdicts
    waited = Contention(kind="waited", size=0.3)
    for name, state in session.cells.items():
        state.blocks.append(
            DisturbedBlock(
                t_ns=0, cell=name, first=4, count=1, kept=True, reasons=[], contention=[waited]
            )
        )
    assert {ratio.contrast.verdict for ratio in compute_ratios(session)} == {"busy"}


def test_an_ab_says_that_blocks_were_kept_on_a_busy_machine() -> None:
    waited = Contention(kind="waited", size=0.3, processes=(PYTHON,))
    trouble = {"contention": [waited], "reasons": [contention.describe_contention(waited)]}
    made = ab_sessions.script().begin()
    calm = fold_all(ab_sessions.script().begin().blocks(20, 1.5).end())
    for _ in range(3):
        made.block((60.0, 40.0), kept=False, **trouble)
    session = fold_all(made.blocks(20, 1.5, **trouble).end())
    assert calm.ab_test is not None and session.ab_test is not None
    assert "busy" not in "\n".join(format_ab(calm))
    lines = format_ab(session)
    assert "on a busy machine" in lines[0]
    assert any("faster (busy)" in line for line in lines)
    note = "busy: waited 30 % for a processor: python 26086, in 20 of 20 blocks"
    assert f"B: {note}" in lines
    assert "B: discarded: waited 30 % for a processor: python 26086" in lines
    log = [line.text for line in session.log if "block " in line.text and "waited" in line.text]
    assert [line.split(":")[0] for line in log] == [
        "block discarded", "block kept on a busy machine",
    ]  # fmt: skip
    view = build_ab_comparison(session, session.ab_test, "B")
    assert view.surely == "on a busy machine"
    arms = export_json.build_export(session, FinalMetrics()).cells
    assert all(arm.busy and arm.metrics["tokens_per_s"].ci95 is None for arm in arms)
