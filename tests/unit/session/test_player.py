"""A recording at any of its places: the state there, and the ways to move there."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from support import race_session, streams
from support.streams import MS
from txtop.analysis.metrics import FinalMetrics
from txtop.export.formats import WRITERS
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.session import catalog, reader
from txtop.session.player import PairPlayer, Player
from txtop.session.reader import read_all
from txtop.state.fold import fold, fold_all
from txtop.state.session import SessionState


def eventful() -> list[AnyEvent]:
    """Return two boots, a cell cut off and repeated, one refused, blocks, devices and marks."""
    whole = streams.stream(streams.plan(("gpt2", "t5-small", "bert"), iterations=9))
    cut = next(i for i, e in enumerate(whole) if isinstance(e, events.Iteration)) + 31
    first = whole[:cut]
    at = first[-1].t_ns
    first += [
        events.DisturbedBlock(
            t_ns=at, cell="c001", first=2, count=2, kept=False, reasons=["throttled"]
        ),
        events.Marker(t_ns=at, label="here"),
        events.Control(t_ns=at, who="me", action="pause"),
        events.Telemetry(
            t_ns=at + 7_000 * MS,
            device="GPU-1",
            label="A GPU",
            values={"power_w": None},
            foreign=(events.ForeignProcess(pid=7, name="trainer", memory_bytes=5),),
        ),
        events.Control(t_ns=at + 9_000 * MS, who="me", action="resume"),
        events.Telemetry(t_ns=at + 9_000 * MS, device="GPU-1", values={"power_w": 3.0}, foreign=()),
        events.Gap(t_ns=at + 9_000 * MS, producer="sampler", reason="gone"),
    ]
    again = streams.stream(streams.plan(("gpt2", "t5-small", "bert"), iterations=9))[2:]
    third = next(
        i for i, e in enumerate(again) if isinstance(e, events.CellStarted) and e.cell == "c003"
    )
    for event in again:
        event.t_ns -= 900 * MS
    refused = events.CellRejected(t_ns=again[third].t_ns, cell="c003", reason="no")
    boot = events.Segment(t_ns=again[0].t_ns, boot_id="later", wall_s=1.8e9, pid=2, torn_bytes=3)
    made = [*first, boot, *again[:third], refused, again[-1]]
    for seq, event in enumerate(made, start=1):
        event.seq = seq
    return made


def until(made: list[AnyEvent], position_ns: int) -> SessionState:
    """Return the plain fold of all events up to that time."""
    state = SessionState()
    for event in made:
        if state.clock_at(event) > position_ns:
            break
        fold(state, event)
    return state


@pytest.mark.parametrize("chunk", [400, 3_000, 1 << 18])
@pytest.mark.parametrize("packed", [False, True])
def test_any_place_from_anywhere_is_the_fold_up_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, packed: bool
) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk)
    made = eventful()
    path = tmp_path / "s.jsonl"
    body = streams.write(path, made)
    if packed:
        path = tmp_path / "s.jsonl.gz"
        path.write_bytes(gzip.compress(body))
    player = Player(path)
    assert repr(player.final_state) == repr(fold_all(made))
    draw = random.Random(3)
    places = [draw.randrange(player.duration_ns) for _ in range(60)]
    places += [0, player.duration_ns, 0, *player.steps_ns[:5], *(at for at, _ in player.markers)]
    for place in places:
        player.seek(place)
        assert repr(player.state) == repr(until(made, place)), place
    for _ in range(30):
        player.step(draw.choice((-1, 1)))
        assert repr(player.state) == repr(until(made, player.position_ns))
    assert repr(player.final_state) == repr(fold_all(made))


def test_lines_that_are_rejected_change_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", 500)
    made = eventful()
    lines = [codec.encode_event(event) for event in made]
    for i in range(5, len(lines), 7):
        lines[i] = (
            lines[i] + [b"junk\n", b"\0" * 900 + b"\n", b"x" * (2 << 20) + b"\n", b"\n"][i % 4]
        )
    path = tmp_path / "s.jsonl"
    path.write_bytes(b"".join(lines) + b'{"torn')
    player = Player(path)
    assert player.problems.torn_bytes == 6 and player.problems.rejected_count > 10
    for share in (0.9, 0.1, 0.5, 1.0, 0.3):
        place = round(player.duration_ns * share)
        player.seek(place)
        assert repr(player.state) == repr(until(made, place))
    assert player.problems.rejected == read_all(path)[1].rejected


@pytest.mark.parametrize("path", catalog.list_bundled(), ids=lambda p: p.name)
@pytest.mark.parametrize("format", [name for name in WRITERS if name not in race_session.EXPORTS])
def test_the_end_of_a_bundled_replay_is_its_export(path: Path, format: str) -> None:
    player = Player(path)
    player.seek(player.duration_ns // 3)
    player.seek(player.duration_ns)
    live = SessionState()
    for event in read_all(path)[0]:
        fold(live, event)
    assert WRITERS[format](player.state, FinalMetrics()) == WRITERS[format](live, FinalMetrics())


@pytest.fixture
def player(tmp_path: Path) -> Player:
    path = tmp_path / "s.jsonl"
    streams.write(path, eventful())
    return Player(path)


def test_playing_backwards_is_playing_forwards_turned_round(player: Player) -> None:
    seen = []
    player.shortened = False
    while player.playing:
        player.update(200 * MS)
        seen.append((player.position_ns, player.state.events_folded))
    assert seen[-1][0] == player.duration_ns
    player.reverse()
    back = [seen[-1]]
    while player.playing:
        player.update(200 * MS)
        back.append((player.position_ns, player.state.events_folded))
    assert player.position_ns == 0 and not player.playing
    folded = dict(seen)
    assert all(folded[at] == n for at, n in back if at in folded)
    player.toggle()
    assert player.playing and not player.backwards


def test_idle_stretches_are_crossed_within_a_second(player: Player) -> None:
    (start, end), *_ = [(a, b) for a, b in player.idle if b - a == 9_000 * MS]
    player.seek(start - 100 * MS)
    player.update(100 * MS)
    assert player.position_ns == start
    player.update(500 * MS)
    assert player.position_ns == (start + end) // 2
    player.update(600 * MS)
    assert player.position_ns == end + 100 * MS
    player.reverse()
    player.update(600 * MS)
    assert player.position_ns == (start + end) // 2
    player.toggle_idle()
    player.update(500 * MS)
    assert player.position_ns == (start + end) // 2 - 500 * MS
    loads = [b - a for a, b in player.idle]
    assert all(length > 2_000 * MS for length in loads)


def test_words_find_a_marker_or_a_cell(player: Player) -> None:
    assert player.find("HERE") == player.markers[0][0]
    starts = {player.cell_name(name): at for at, name, _ in player.boundaries}
    assert player.find("t5-small fp32") == next(at for n, at in starts.items() if "t5" in n)
    assert player.find("nothing of the kind") is None and player.find("  ") is None
    player.step_marker(1)
    assert player.position_ns == player.markers[0][0]
    player.step_marker(-1)
    assert player.position_ns == 0


def test_two_sessions_share_one_clock(tmp_path: Path) -> None:
    quick = streams.stream()
    slow = streams.stream()
    for event in slow:
        event.t_ns = slow[0].t_ns + (event.t_ns - slow[0].t_ns) * 3
    streams.write(tmp_path / "a.jsonl", quick)
    streams.write(tmp_path / "b.jsonl", slow)
    pair = PairPlayer(Player(tmp_path / "a.jsonl"), Player(tmp_path / "b.jsonl"))
    for at, name, _ in pair.boundaries:
        pair.seek(at)
        assert pair.left.state.current == pair.right.state.current == name
    pair.seek(pair.duration_ns)
    assert pair.left.state.ended and pair.right.state.ended
    pair.seek(0)
    while pair.playing:
        pair.update(900 * MS)
        stages = [
            {c.cell.id: c.stage for c in p.state.cells.values()} for p in (pair.left, pair.right)
        ]
        for name, stage in stages[0].items():
            assert stage != "measuring" or stages[1][name] != "waiting"
    for _ in range(5):
        pair.step(-1)
    assert pair.position_ns < pair.duration_ns


def test_another_warm_up_cut_is_another_set_of_iterations(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    made = streams.stream(streams.plan(("gpt2",), iterations=12))
    streams.write(path, made)
    usual = fold_all(made).cells["c001"]
    assert len(usual.samples.kept()) == 12
    for cut, kept, checked in ((0, 13, 1), (1, 12, 0), (5, 8, 0), (50, 0, 0)):
        player = Player(path, cut)
        player.seek(player.duration_ns)
        cell = player.state.cells["c001"]
        assert len(cell.samples.kept()) == kept
        exported = WRITERS["json"](player.state, FinalMetrics()).decode()
        assert f"what if: {cut} warm-up iterations" in exported
        assert ("carried the checks" in exported) == bool(checked)
        assert WRITERS["json"](fold_all(made, cut), FinalMetrics()).decode() == exported


def test_a_load_and_a_comparison_of_outputs_are_idle_and_work_is_not(tmp_path: Path) -> None:
    made = streams.stream(streams.plan(("gpt2",)))
    place = next(i for i, event in enumerate(made) if isinstance(event, events.ModelLoaded))
    at_ns = made[place - 1].t_ns
    began: list[AnyEvent] = []
    for second in range(1, 9):
        t_ns = at_ns + second * 1_000 * MS
        began += [
            events.Phase(t_ns=t_ns, cell="c001", name="weights"),
            events.Progress(t_ns=t_ns, cell="c001", what="load", done=second, total=8),
            events.FidelityProgress(t_ns=t_ns, cell="c001", reference="c001", done=second, total=8),
        ]
    for event in made[place:]:
        event.t_ns += 9_000 * MS
    whole = [*made[:place], *began, *made[place:]]
    for seq, event in enumerate(whole, start=1):
        event.seq = seq
    path = tmp_path / "s.jsonl"
    streams.write(path, whole)
    player = Player(path)
    assert [end - start >= 9_000 * MS for start, end in player.idle] == [True]
    start, end = player.idle[0]
    player.seek(start)
    player.update(1_000 * MS)
    assert player.position_ns == end
    assert all(not start < step < end for step in player.steps_ns)
