"""A log after cuts, junk, two writers or another version: the complete records are kept."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from support import streams
from support.command_line import txtop
from txtop.errors import RunError, SessionError, UsageError
from txtop.protocol import codec, events
from txtop.session import catalog
from txtop.session.follower import Follower
from txtop.session.reader import LogReader, read_all
from txtop.session.writer import LOG_NAME, LogWriter, create_session_folder


@pytest.mark.fault(5)
def test_a_log_cut_at_any_byte_keeps_exactly_its_complete_records(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    made = streams.stream(streams.plan(("gpt2",), iterations=1))
    body = streams.write(path, made)
    assert "☃".encode() in body
    ends = [i + 1 for i, byte in enumerate(body) if byte == 0x0A]
    for cut in range(ends[0], len(body) + 1):
        path.write_bytes(body[:cut])
        logged, problems = read_all(path)
        whole = sum(end <= cut or end == cut + 1 for end in ends)
        assert len(logged) == whole
        assert codec.encode_event(logged[-1]) == codec.encode_event(made[whole - 1])
        torn = cut - max((end for end in ends if end <= cut), default=0)
        assert problems.torn_bytes == (0 if cut + 1 in ends else torn)
        assert not problems.rejected
        expected = [f"1 torn record dropped ({torn} bytes)"] if problems.torn_bytes else []
        assert problems.lines() == expected


@pytest.mark.fault(5)
@pytest.mark.parametrize("cut", [0, 1, 200])
def test_a_log_without_a_whole_header_is_no_session(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "s.jsonl"
    body = streams.write(path, streams.stream())
    path.write_bytes(body[:cut])
    with pytest.raises(SessionError, match="is empty"):
        read_all(path)


JUNK = {
    "json": b"{]",
    "null where a number belongs": b'{"kind":"ended","t_ns":1,"reason":"done","wall_s":null}',
    "NaN": b'{"kind":"log","t_ns":NaN,"text":"x"}',
    "nesting": b'{"kind":"log","t_ns":1,"text":' + b"[" * 100_000,
    "an integer out of bounds": b'{"kind":"log","t_ns":99999999999999999999,"text":"x"}',
    "a negative time": b'{"kind":"log","t_ns":-1,"text":"x"}',
    "bad UTF-8": b'{"kind":"log","t_ns":1,"text":"\xff\xfe"}',
    "an array": b"[1,2]",
    "NUL bytes": b"\0" * 40,
    "a second header": None,
    "a line of 2 MiB": b'{"kind":"log","t_ns":1,"text":"' + b"x" * (2 << 20) + b'"}',
}


@pytest.mark.fault(13)
@pytest.mark.parametrize("name", JUNK)
def test_junk_is_rejected_with_its_line_and_the_rest_is_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.jsonl"
    made = streams.stream()
    lines = [codec.encode_event(event) for event in made]
    junk = JUNK[name]
    lines.insert(7, lines[0] if junk is None else junk + b"\n")
    path.write_bytes(b"".join(lines))
    logged, problems = read_all(path)
    assert [e.seq for e in logged] == [e.seq for e in made]
    assert [number for number, _ in problems.rejected] == [8]
    follower = Follower(path)
    while follower.update():
        pass
    assert follower.finished


@pytest.mark.fault(13)
@pytest.mark.parametrize("junk", [b"", b"{]\n"])
def test_a_list_of_sessions_decodes_the_events_that_it_needs(
    tmp_path: Path, junk: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s.jsonl"
    made = streams.stream()
    lines = [codec.encode_event(event) for event in made]
    lines.insert(7, junk)
    path.write_bytes(b"".join(lines))
    decoded: list[bytes] = []
    at_once = codec.decode_events
    monkeypatch.setattr(codec, "decode_events", lambda b: decoded.append(b) or at_once(b))  # type: ignore[func-returns-value]
    kinds = (events.CellFinished, events.SessionEnded)
    reader = LogReader(path, only=kinds)
    read = reader.poll()
    reader.close()
    wanted = [e.seq for e in made if isinstance(e, (events.SessionHeader, *kinds))]
    assert [e.seq for e in read] == wanted and 1 < len(wanted) < len(made)
    # Junk is found line by line, and counted.
    assert [number for number, _ in reader.problems.rejected] == ([8] if junk else [])
    assert [block.count(b"\n") + 1 for block in decoded] == ([] if junk else [len(wanted) - 1])


@pytest.mark.fault(13)
def test_show_of_a_log_with_junk_prints_the_table_and_the_lines_on_stderr(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    lines = [codec.encode_event(event) for event in streams.stream()]
    for place, junk in enumerate(filter(None, JUNK.values())):
        lines.insert(5 + place * 3, junk + b"\n")
    path.write_bytes(b"".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "txtop", "show", str(path)], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "line 6 rejected" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.count("gpt2") == 1 and "t5-small" in done.stdout


@pytest.mark.fault(13)
def test_any_bytes_at_all_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    body = streams.write(path, streams.stream())
    draw = random.Random(7)
    for _ in range(300):
        spoilt = bytearray(body)
        for _ in range(draw.randint(1, 20)):
            spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
        path.write_bytes(spoilt)
        try:
            logged, _problems = read_all(path)
        except SessionError:
            continue
        assert logged


def test_an_unknown_kind_is_passed_over_and_a_newer_major_version_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl"
    made = streams.stream()
    lines = [codec.encode_event(event) for event in made]
    lines.insert(3, b'{"kind":"weather","t_ns":1,"sun":true}\n')
    path.write_bytes(b"".join(lines))
    logged, problems = read_all(path)
    assert len(logged) == len(made) and not problems.lines()
    header = json.loads(lines[0])
    header["schema"] = [2, 0]
    path.write_bytes(json.dumps(header).encode() + b"\n" + b"".join(lines[1:]))
    with pytest.raises(SessionError, match="upgrade txtop"):
        read_all(path)


def test_a_compressed_session_reads_the_same(tmp_path: Path) -> None:
    body = streams.write(tmp_path / "s.jsonl", streams.stream())
    (tmp_path / "s.jsonl.gz").write_bytes(gzip.compress(body))
    plain, _ = read_all(tmp_path / "s.jsonl")
    packed, _ = read_all(tmp_path / "s.jsonl.gz")
    assert plain == packed


@pytest.mark.parametrize(
    "body", [b"hello\n", b"\x1f\x8b\n", b'{"kind":"log","t_ns":1,"text":"x"}\n']
)
def test_a_foreign_file_is_no_session(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(body)
    with pytest.raises(SessionError, match="not a txtop session"):
        read_all(path)


def test_a_writer_numbers_digests_and_keeps_everything(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    create_session_folder(folder)
    writer = LogWriter(folder)
    made = streams.stream()
    for event in made[:-1]:
        event.seq = 0
        writer.record(event)
    digest = writer.digest()
    writer.record(made[-1])
    assert writer.close()
    body = (folder / LOG_NAME).read_bytes()
    assert body == b"".join(map(codec.encode_event, made))
    assert [e.seq for e in read_all(folder)[0]] == list(range(1, len(made) + 1))
    assert digest == hashlib.sha256(body[: body.rfind(b"\n", 0, -1) + 1]).hexdigest()
    assert (folder / LOG_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.fault(10)
def test_a_second_writer_refuses_and_names_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    create_session_folder(folder)
    first = LogWriter(folder)
    with pytest.raises(RunError, match=f"process {os.getpid()}"):
        LogWriter(folder)
    first.close()
    LogWriter(folder).close()


def test_what_cannot_be_written_stays_in_memory_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "s"
    create_session_folder(folder)
    writer = LogWriter(folder)
    real, full = os.write, [True]

    def write(fd: int, data: bytes) -> int:
        if full[0] and fd == writer._fd:
            raise OSError(28, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    made = streams.stream()
    for event in made:
        writer.record(event)
    while writer.write_error is None:
        pass
    assert writer.write_error == "No space left on device"
    assert writer.buffered_bytes == sum(len(codec.encode_event(e)) for e in made)
    full[0] = False
    assert writer.close() and not writer.buffered_bytes
    assert len(read_all(folder)[0]) == len(made)


@pytest.mark.fault(8)
def test_a_failed_fsync_is_never_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    folder = tmp_path / "s"
    create_session_folder(folder)
    writer = LogWriter(folder)
    monkeypatch.setattr(os, "fsync", fail)
    writer.record(streams.stream()[0])
    assert not writer.close()
    assert writer.durability_lost


@pytest.mark.fault(9)
@pytest.mark.parametrize("headless", [True, False])
def test_a_folder_that_cannot_be_written_is_refused_before_anything_is_loaded(
    tmp_path: Path, headless: bool
) -> None:
    (tmp_path / "file").write_text("in the way")
    command = ["run", "--session-dir", str(tmp_path / "file" / "x")]
    done = txtop(*command, *["--headless"] * headless)
    assert done.returncode == 1 and not done.stdout
    assert "cannot write a session in" in done.stderr and "--session-dir" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.fault(17)
@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a\0b", "x" * 300, "", ".hidden", "a b"])
def test_a_name_that_leaves_its_folder_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        catalog.check_name(name)


def test_sessions_are_found_by_id_name_and_path(tmp_path: Path) -> None:
    made = streams.stream()
    assert isinstance(made[0], events.SessionHeader)
    made[0].name = "friendly"
    folder = tmp_path / "261123-120000"
    folder.mkdir()
    streams.write(folder / LOG_NAME, made)
    with pytest.raises(SessionError):
        catalog.resolve_session("friendly", tmp_path)
    streams.write(tmp_path / "bare.jsonl", made)
    assert catalog.resolve_session("261123-120000", tmp_path) == folder
    assert catalog.resolve_session("friendly", tmp_path) == tmp_path / "bare.jsonl"
    assert catalog.resolve_session("bare", tmp_path) == tmp_path / "bare.jsonl"
    assert catalog.resolve_session(str(folder), tmp_path / "nowhere") == folder
    with pytest.raises(SessionError, match="did you mean 261123-120000"):
        catalog.resolve_session("261123-12000", tmp_path)
    own = [entry for entry in catalog.list_recent(folder=tmp_path) if not entry.bundled]
    assert {(f.id, f.cells_ok, f.cells_total, f.ended) for f in own} == {
        ("261123-120000", 2, 2, "done"),
        ("bare", 2, 2, "done"),
    }
