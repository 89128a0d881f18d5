"""`txtop verify` names the line that is wrong, whatever is wrong with it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import streams
from txtop.cli.app import run_command_line
from txtop.protocol import codec, events
from txtop.protocol.events import AnyEvent
from txtop.session import catalog
from txtop.session.verify import verify_log
from txtop.session.writer import LOG_NAME, LogWriter, create_session_folder

Lines = list[bytes]


def slow_row(*values: object) -> object:
    return pytest.param(*values, marks=pytest.mark.slow)


def record(folder: Path, made: list[AnyEvent], last_seq: int = 0) -> Path:
    """Write events as a runner does; `ended` gets its digest."""
    if not folder.exists():
        create_session_folder(folder)
    writer = LogWriter(folder)
    writer.last_seq = last_seq
    for event in made:
        if isinstance(event, events.SessionEnded):
            event.sha256 = writer.digest()
        writer.record(event)
    assert writer.close()
    return folder


@pytest.fixture
def session(tmp_path: Path) -> Path:
    return record(tmp_path / "s", streams.stream())


def twice_resumed(folder: Path) -> Path:
    """Return a session that was cut off, resumed on a later boot, stopped and resumed again."""
    first = streams.stream()
    record(folder, first[:30])
    seq = 30
    for boot in ("boot", "another"):
        more = streams.stream()
        segment = events.Segment(t_ns=5, boot_id=boot, wall_s=1.7e9, pid=2)
        for event in more:
            event.t_ns = 7
        record(folder, [segment, *more[2:20], more[-1]], seq)
        seq += 20
    return folder


def test_what_a_writer_leaves_is_in_order(session: Path, tmp_path: Path) -> None:
    result = verify_log(session)
    assert not result.wrong and result.digests == 1 and result.segments == 1 and result.ended
    result = verify_log(twice_resumed(tmp_path / "t"))
    assert not result.wrong and result.digests == 2 and result.segments == 3 and result.ended


@pytest.mark.parametrize("path", catalog.list_bundled(), ids=lambda p: p.name)
def test_the_bundled_recordings_are_in_order(path: Path) -> None:
    result = verify_log(path)
    assert not result.wrong and result.digests == result.segments == 1


def _changed(line: bytes, **facts: object) -> bytes:
    return json.dumps({**json.loads(line), **facts}, separators=(",", ":")).encode() + b"\n"


def _swap(lines: Lines) -> None:
    lines[10], lines[11] = lines[11], lines[10]


def _set(at: int, change: Callable[[bytes], bytes]) -> Callable[[Lines], None]:
    def spoil(lines: Lines) -> None:
        lines[at] = change(lines[at])

    return spoil


DAMAGE: dict[str, tuple[Callable[[Lines], None], int, str]] = {
    "a line removed": (lambda lines: lines.pop(20), 21, "sequence number 22 after 20"),
    "a line twice": (lambda lines: lines.insert(20, lines[19]), 21, "sequence number 20 after 20"),
    "two lines swapped": (_swap, 11, "sequence number 12 after 10"),
    "junk": (_set(20, lambda _: b"{]\n"), 21, "not an event"),
    "a wrong type": (_set(20, lambda x: _changed(x, t_ns="soon")), 21, "not an event"),
    "a key twice": (_set(20, lambda x: x.replace(b"{", b'{"t_ns":1,', 1)), 21, "'t_ns' twice"),
    "a nested key twice": (
        _set(20, lambda _: b'{"kind":"telemetry","seq":21,"t_ns":1,"device":"h","values":'
             b'{"a":1.0,"a":2.0}}\n'), 21, "'a' twice"),
    "a clock that goes back": (_set(20, lambda x: _changed(x, t_ns=5)), 21, "goes back by"),
    "a cell of no plan": (_set(7, lambda x: _changed(x, cell="c999")), 8, "'c999' is not in"),
    "another figure": (_set(7, lambda x: _changed(x, e2e_ns=123)), -1, "digest"),
    "a longer line": (_set(20, lambda x: x[:-1] + b" " * (1 << 20) + b"\n"), 21, "longer than"),
    "no header": (lambda lines: lines.pop(0), 1, "the first line is not a header"),
    "a second header": (_set(1, lambda _: b""), 2, "the second line is not a segment"),
    "something after the end": (
        lambda lines: lines.append(b'{"kind":"marker","seq":%d,"t_ns":%d}\n' % (
            len(lines) + 1, 2**62)), 0, "an event after the end"),
}  # fmt: skip


@pytest.mark.fault(13)
@pytest.mark.parametrize("name", DAMAGE)
def test_each_damage_is_named_with_its_line(
    session: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    spoil, at, message = DAMAGE[name]
    log = session / LOG_NAME
    lines = log.read_bytes().splitlines(keepends=True)
    spoil(lines)
    log.write_bytes(b"".join(lines))
    expected_line = at if at > 0 else len(lines)
    result = verify_log(session)
    assert any(line == expected_line and message in what for line, what in result.wrong), (
        result.wrong
    )
    assert run_command_line(["verify", str(session)]) == 1
    assert f"line {expected_line}: " in capsys.readouterr().out


def test_a_cut_session_is_in_order_and_says_what_it_lacks(
    session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = session / LOG_NAME
    log.write_bytes(log.read_bytes()[:-20])
    assert run_command_line(["verify", str(session)]) == 0
    output = capsys.readouterr().out
    assert "1 torn record at the end" in output and "no end" in output and "authenticity" in output


def test_a_newer_kind_is_counted_and_a_compressed_session_is_read(session: Path) -> None:
    lines = (session / LOG_NAME).read_bytes().splitlines(keepends=True)[:-1]
    lines.append(b'{"kind":"weather","seq":%d,"t_ns":1,"sun":true}\n' % (len(lines) + 1))
    packed = session.parent / "s.jsonl.gz"
    packed.write_bytes(gzip.compress(b"".join(lines)))
    result = verify_log(packed)
    assert not result.wrong and result.unknown == 1 and not result.ended


def peak_mb(command: list[str]) -> tuple[int, float, str]:
    """Return exit code, peak memory and output of a txtop command in a process of its own."""
    script = (
        "import resource, subprocess, sys;"
        "done = subprocess.run([sys.executable, '-m', 'txtop', *sys.argv[1:]],"
        " capture_output=True, text=True, stdin=subprocess.DEVNULL);"
        "print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);"
        "print((done.stderr + done.stdout)[-3000:])"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True)
    first, _, output = done.stdout.partition("\n")
    code, peak = first.split()
    return int(code), int(peak) / 1024, output


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("command", "size"),
    [("show", 1 << 29), *(slow_row(name, 2 << 30) for name in ("show", "verify", "replay"))],
)
def test_a_line_of_half_and_of_two_gigabytes_costs_no_memory(
    tmp_path: Path, command: str, size: int
) -> None:
    path = tmp_path / "s.jsonl"
    body = streams.write(path, streams.stream())
    half = body.rfind(b"\n", 0, len(body) // 2) + 1
    with path.open("wb") as file:
        file.write(body[:half])
        file.seek(size, 1)  # a hole: NUL bytes that take no disk
        file.write(b"\n" + body[half:])
    code, peak, output = peak_mb([command, str(path)])
    assert peak < 300 and "longer than" in output and "Traceback" not in output
    assert code == (1 if command == "verify" else 0)


@pytest.mark.fault(14)
@pytest.mark.parametrize("lead", [b"\xef\xbb\xbf", b"\xff\xfe", b"\0\0\0\0", b"\n"])
def test_what_stands_before_the_header_makes_it_no_session(
    tmp_path: Path, lead: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.jsonl"
    body = streams.write(path, streams.stream())
    path.write_bytes(lead + (body.decode().encode("utf-16-le") if lead == b"\xff\xfe" else body))
    for command in ("show", "replay", "export"):
        assert run_command_line([command, str(path)]) == 4
        assert "not a txtop session" in capsys.readouterr().err
    assert run_command_line(["verify", str(path)]) == 1


@pytest.mark.fault(15)
def test_a_newer_minor_schema_is_read_and_a_newer_major_one_refused(
    session: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = session / LOG_NAME
    lines = log.read_bytes().splitlines(keepends=True)
    for schema, code in (([1, 99], 0), ([2, 0], 4)):
        newer = _changed(lines[0], schema=schema, weather="fine")
        log.write_bytes(b"".join([newer, *lines[1:]]))
        assert run_command_line(["show", str(session)]) == code
    assert "upgrade txtop" in capsys.readouterr().err


@pytest.mark.fault(16)
@pytest.mark.parametrize("filling", [slow_row(b"\0"), b"\n", slow_row(b"x")])
@pytest.mark.parametrize("command", ["show", "verify", slow_row("replay")])
def test_a_bomb_is_refused_in_little_memory(tmp_path: Path, command: str, filling: bytes) -> None:
    path = tmp_path / "s.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b"".join(map(codec.encode_event, streams.stream())))
        for _ in range(80):
            file.write(filling * (1 << 24))
    assert path.stat().st_size < 20 << 20
    code, peak, output = peak_mb([command, str(path)])
    assert peak < 300 and "Traceback" not in output
    message = "lines that are not events" if filling == b"\n" else "unpacks to over 1 GiB"
    assert code == 4 and message in output, output
