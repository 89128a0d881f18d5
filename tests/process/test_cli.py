"""The command line as processes: usage, runs of tiny models, interrupts, and parents that end."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import time
from pathlib import Path

import psutil
import pytest
import scipy.stats

from support import tiny_models
from support.command_line import TXTOP, txtop
from support.knob_values import ATTENTIONS, PRECISIONS
from support.paths import ROOT
from support.waiting import wait_until
from support.warm_workers import build_warm_environment
from txtop.options.presets import PRESETS
from txtop.session.catalog import read_entry
from txtop.session.reader import read_all
from txtop.state.fold import fold_all

HOSTILE = "no-such\x1b]52;c;QQ==\x07\x9b31m\u202e[/][@click=app.quit]x"


@pytest.mark.fault(39)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("run --modles gpt2", "--models"),
        ("run --preset quik", "did you mean quick?"),
        ("run --precisions fp3", "did you mean fp32?"),
        ("run --attention spda", "did you mean sdpa?"),
        ("rnu", "did you mean run"),
        ("run --models", "--models needs at least one value"),
        ("run --iterations ten", "--iterations 'ten' is not a whole number: txtop run --help"),
        ("run --theme txtop-drak", "did you mean txtop-dark"),
        ("replay --fps 0", "--fps"),
        ("show", "show needs SESSION: txtop show --help"),
        ("ab gpt2 --precision fp32 bf16", "'bf16' is one value too many: txtop ab --help"),
        ("ab gpt2 --margin", "--margin needs a value: txtop ab --help"),
        ("run --seed 1 --seed 2", "--seed is given twice: give it once"),
        ("selftest", "--overhead"),
        ("selftest --aa --device cuda", "add --overhead"),
        ("selftest --overhead --compile graphs", "reduce-overhead"),
    ],
)
def test_a_wrong_word_exits_2_and_names_the_right_one(line: str, message: str) -> None:
    assert_refused(txtop(*line.split()), message)


@pytest.mark.fault(39)
def test_a_device_that_torch_does_not_know_exits_2() -> None:
    done = txtop("selftest", "--overhead", "--device", "tpu", **build_warm_environment())
    assert_refused(done, "no tpu device: torch knows none")


def assert_refused(done: subprocess.CompletedProcess[str], message: str) -> None:
    assert done.returncode == 2
    assert message in done.stderr + done.stdout and "Traceback" not in done.stderr
    assert len((done.stderr + done.stdout).strip().splitlines()) == 1


@pytest.mark.fault(37)
@pytest.mark.parametrize(
    "line",
    [
        "--batch-sizes 0",
        "--batch-sizes 1 -4",
        "--new-tokens 0",
        "--sequence-lengths 1000",
        "--models bert-base-uncased --sequence-lengths 513",
        "--threads 0",
        "--iterations 0",
        "--budget 0",
    ],
)
def test_what_cannot_be_measured_is_refused_before_loading(line: str, tmp_path: Path) -> None:
    done = txtop("run", "--headless", "--session-dir", str(tmp_path), *line.split())
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr


def test_hyphens_underscores_and_every_documented_value_are_understood() -> None:
    done = txtop("run", "--help")
    for word in (*PRECISIONS, *ATTENTIONS, *PRESETS, "--batch-sizes", "--on-hangup"):
        assert word in done.stdout
    assert txtop("run", "--batch_sizes", "0").stderr == txtop("run", "--batch-sizes", "0").stderr


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Run three families x two batches, and a model name that is neither a model nor plain text."""
    folder = tmp_path_factory.mktemp("six")
    models = [
        str(tiny_models.gpt2(folder / "gpt2")),
        str(tiny_models.bert(folder / "bert")),
        str(tiny_models.t5(folder / "t5", weights=False)),
        HOSTILE,
    ]
    done = txtop(
        "run",
        *("--models", *models, "--batch_sizes", "1", "4", "--sequence-lengths", "16"),
        *("--new-tokens", "8", "--iterations", "12", "--warmup", "4", "--headless"),
        *("--name", "six"),
        *("--session-dir", str(folder / "s"), "--json", str(folder / "out.json")),
        timeout=120,
        **build_warm_environment(),
    )
    return folder, done


Six = tuple[Path, subprocess.CompletedProcess[str]]
TEXT = {
    "ttft_ms", "tpot_ms", "itl_ms", "e2e_ms", "prefill_tokens_per_s", "decode_tokens_per_s",
    "tokens_per_s", "sequences_per_s", "mbu", "mfu", "kv_cache_bytes",
}  # fmt: skip
# A model that fits the caches has no peak to compare with.
UNKNOWN_WHERE_TINY = {"mbu", "mfu"}
ALWAYS = {
    "load_s", "load_import_s", "load_config_s", "load_weights_s", "load_to_device_s",
    "load_first_forward_s", "peak_memory_host_bytes",
}  # fmt: skip


def test_each_family_has_its_metrics_and_its_load_adds_up(six: Six) -> None:
    cells = json.loads((six[0] / "out.json").read_bytes())["cells"]
    own = {
        "causal": TEXT,
        "encoder": {"e2e_ms", "sequences_per_s", "mfu"},
        "seq2seq": TEXT | {"encoder_ms"},
    }
    assert [c["status"] for c in cells] == ["ok"] * 6 + ["rejected"] * 2
    assert [c["family"] for c in cells[:6:2]] == ["causal", "encoder", "seq2seq"]
    for cell in cells[:6]:
        metrics = cell["metrics"]
        assert set(metrics) == ALWAYS | own[cell["family"]]
        without_value = {name for name, metric in metrics.items() if metric["mean"] is None}
        assert without_value == UNKNOWN_WHERE_TINY & metrics.keys(), cell["family"]
        assert all(metrics[name]["notes"] for name in without_value)
        phases = sum(
            m["mean"] for n, m in metrics.items() if n.startswith("load_") and n != "load_s"
        )
        assert phases == pytest.approx(metrics["load_s"]["mean"], rel=0.05)
        assert metrics["load_s"]["notes"] == ["shared"]
    assert [c["weights"] for c in cells[:6:2]] == ["pretrained", "pretrained", "random"]


def test_the_export_is_what_the_recorded_times_say(six: Six) -> None:
    """Recompute the export from the events with arithmetic of its own."""
    logged, _ = read_all(six[0] / "s" / "six")
    exported = {c["id"]: c for c in json.loads((six[0] / "out.json").read_bytes())["cells"]}
    gaps: dict[tuple[str, int], list[int]] = {}
    for event in logged:
        if type(event).__name__ == "TokenTimings":
            gaps.setdefault((event.cell, event.index), []).extend(event.gaps_ns)
    repeated = {
        (e.cell, i)
        for e in logged
        if type(e).__name__ == "DisturbedBlock" and not e.kept
        for i in range(e.first, e.first + e.count)
    }
    for cell in ("c001", "c002", "c005"):
        kept = [
            gaps[cell, e.index]
            for e in logged
            if type(e).__name__ == "Iteration" and e.cell == cell and e.role == "measured"
            if (cell, e.index) not in repeated
        ]
        assert len(kept) == 12 and all(len(g) == 8 for g in kept)
        # Iterations before a change of level are dropped, and n says how many were kept.
        n = exported[cell]["metrics"]["e2e_ms"]["n"]
        assert 6 <= n <= 12
        kept = kept[-n:]
        trend = exported[cell]["steady"] is False
        batch = exported[cell]["batch_size"]
        expected = {
            "ttft_ms": [g[0] / 1e6 for g in kept],
            "tpot_ms": [sum(g[1:]) / 7 / 1e6 for g in kept],
            "e2e_ms": [sum(g) / 1e6 for g in kept],
            "tokens_per_s": [batch * 8 / sum(g) * 1e9 for g in kept],
            "decode_tokens_per_s": [batch * 7 / sum(g[1:]) * 1e9 for g in kept],
            "prefill_tokens_per_s": [batch * 16 / g[0] * 1e9 for g in kept],
            "itl_ms": [x / 1e6 for g in kept for x in g[1:]],
        }
        for name, values in expected.items():
            figure = exported[cell]["metrics"][name]
            middle = statistics.median(values)
            rate = name.endswith("_per_s")
            own = {
                "mean": len(values) / sum(1 / v for v in values)
                if rate
                else sum(values) / len(values),
                "median": middle,
                "stdev": statistics.stdev(values),
                "mad": statistics.median([abs(v - middle) for v in values]),
                "min": min(values),
                "max": max(values),
            }
            for statistic, value in own.items():
                assert figure[statistic] == pytest.approx(value, rel=1e-6, abs=1e-9), name
            assert figure["n"] == n
            assert figure["p50"] == (pytest.approx(middle, rel=1e-6) if n >= 11 else None)
            assert figure["p90"] is None
            units = [1 / v for v in values] if rate else values
            if name == "itl_ms":
                units = [sum(g[1:]) / 7 / 1e6 for g in kept]
            low, high = scipy.stats.t.interval(
                0.95, n - 1, statistics.mean(units), statistics.stdev(units) / n**0.5
            )
            interval = [1 / high, 1 / low] if rate else [low, high]
            # Other work on the machine that tests also withholds the interval, and a rate whose
            # duration may be zero has none.
            if rate and low <= 0:
                assert figure["ci95"] is None, name
            elif not (trend or exported[cell]["busy"]):
                assert figure["ci95"] == pytest.approx(interval, rel=1e-6), name
        # All work over all time: the figures of one row fit each other.
        mean = {name: exported[cell]["metrics"][name]["mean"] for name in expected}
        assert mean["tokens_per_s"] == pytest.approx(batch * 8 / mean["e2e_ms"] * 1e3, rel=1e-6)


def test_show_and_export_repeat_the_run_byte_for_byte(six: Six) -> None:
    folder, done = six
    place = ("--session-dir", str(folder / "s"))
    assert txtop("show", "six", *place).stdout == done.stdout
    exported = txtop("export", "six", *place, "--output", str(folder / "again.json"))
    assert exported.returncode == 0
    assert (folder / "again.json").read_bytes() == (folder / "out.json").read_bytes()
    assert txtop("export", "six", *place).stdout == (folder / "out.json").read_text()


@pytest.mark.fault(27)
def test_an_unknown_model_says_why_and_what_to_do_and_the_others_are_measured(six: Six) -> None:
    _, done = six
    assert done.returncode == 1
    line = next(x for x in done.stdout.splitlines() if "rejected:" in x)
    assert "is not the name of a model: a local path, or a built-in name" in line
    assert "Traceback" not in done.stderr


@pytest.mark.fault(18)
@pytest.mark.fault(19)
def test_a_hostile_name_is_inert_in_plain_lines_and_exports(six: Six) -> None:
    folder, done = six
    printed = txtop("show", "six", "--session-dir", str(folder / "s")).stdout
    listed = txtop("sessions", "--session-dir", str(folder / "s")).stdout
    replayed = txtop("replay", "six", "--session-dir", str(folder / "s"))
    raw = (folder / "out.json").read_text()
    for text in (done.stdout, done.stderr, printed, listed, replayed.stdout, replayed.stderr, raw):
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b]", text)
    assert "[@click=app.quit]" in done.stderr


@pytest.mark.fault(37)
def test_one_new_token_is_a_null_metric_with_a_note(tmp_path: Path) -> None:
    model = str(tiny_models.gpt2(tmp_path / "m"))
    done = txtop(
        *("run", "--models", model, "--sequence-lengths", "8", "--new-tokens", "1"),
        *("--iterations", "3", "--headless", "--session-dir", str(tmp_path / "s")),
        *("--json", "-"),
        **build_warm_environment(),
    )
    assert done.returncode == 0
    cell = json.loads(done.stdout)["cells"][0]
    assert cell["status"] == "ok"
    assert cell["metrics"]["ttft_ms"]["n"] == 3
    assert cell["metrics"]["tpot_ms"]["mean"] is None
    assert cell["metrics"]["tpot_ms"]["notes"] == ["no value: one new token"]
    assert "only 3 samples" in cell["notes"] and "only 3 samples" in done.stderr


def start(tmp_path: Path, **environment: str) -> tuple[subprocess.Popen[str], Path]:
    """Start a headless run of an hour and wait until its first iterations are measured."""
    model = str(tiny_models.gpt2(tmp_path / "m"))
    command = (
        *("run", "--models", model, "--sequence-lengths", "8", "--new-tokens", "40"),
        *("--iterations", "900000", "--headless", "--session-dir", str(tmp_path / "s")),
        *("--name", "long"),
    )
    process = subprocess.Popen(
        [*TXTOP, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    log = tmp_path / "s" / "long" / "events.jsonl"
    wait_until(lambda: log.exists() and b'"role":"measured"' in log.read_bytes(), process.poll)
    return process, log.parent


@pytest.mark.fault(36)
@pytest.mark.parametrize(
    "numbers",
    [
        (signal.SIGINT,),
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ((signal.SIGINT,) * 2, (signal.SIGTERM,))
        ),
    ],
)
def test_an_interrupt_ends_a_headless_run_cleanly(
    tmp_path: Path, numbers: tuple[signal.Signals, ...]
) -> None:
    process, session = start(tmp_path, **build_warm_environment())
    children = psutil.Process(process.pid).children(recursive=True)
    for number in numbers:
        process.send_signal(number)
        time.sleep(0.1)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors and "stopped before its end" in out
    state = fold_all(read_all(session)[0])
    assert state.ended is not None and state.ended.reason == "stopped"
    stopped = f"stopped by {numbers[0].name} to txtop (pid {process.pid})"
    assert stopped in [line.text for line in state.log]
    assert state.cells["c001"].status == "cancelled"
    samples = state.cells["c001"].samples
    assert all(len(samples.gaps(i)) == 40 for i in range(len(samples)))
    assert not psutil.wait_procs(children, timeout=30)[1]


@pytest.mark.fault(4)
def test_a_headless_command_that_is_killed_takes_its_run_with_it(tmp_path: Path) -> None:
    process, session = start(tmp_path, **build_warm_environment())
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 3
    process.kill()
    process.communicate()
    assert not psutil.wait_procs(children, timeout=30)[1]
    entry = read_entry(session)
    assert entry is not None and entry.ended == "stopped"


@pytest.mark.fault(34)
@pytest.mark.parametrize("command", [("replay",), ("--demo",), (), ("doctor",)])
def test_without_a_terminal_every_screen_is_plain_lines(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    plain = {"TERM": "dumb", "LANG": "C", "XDG_STATE_HOME": str(tmp_path)}
    done = txtop(*command, **plain, **build_warm_environment())
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert done.stdout and "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("line", ["show gpt2-precisions", "--help", "--version", "run --help"])
def test_output_that_nothing_takes_is_one_line(line: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*TXTOP, *line.split()], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "free some space" in done.stderr


@pytest.mark.parametrize(
    ("closed", "command", "code"),
    [
        ("<&-", "sessions delete", 2),
        (">&-", "export", 0),
        (">&- 2>&-", "show", 0),
    ],
)
def test_a_stream_that_the_caller_closed_is_no_error(
    closed: str, command: str, code: int, tmp_path: Path
) -> None:
    shutil.copy(ROOT / "sessions" / "gpt2-precisions.jsonl", tmp_path / "kept.jsonl")
    line = shlex.join([*TXTOP, *command.split(), "kept", "--session-dir", str(tmp_path)])
    done = subprocess.run(f"{line} {closed}", shell=True, capture_output=True, text=True)
    assert done.returncode == code and "Error" not in done.stderr
    assert (tmp_path / "kept.jsonl").exists()


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [*TXTOP, "show", "gpt2-precisions"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize("command", ["export", "report"])
@pytest.mark.parametrize("target", ["/nonexistent/x", "/"])
def test_a_target_that_cannot_be_written_exits_2(command: str, target: str) -> None:
    done = txtop(command, "gpt2-precisions", "--output", target)
    assert done.returncode == 2 and "name a file in a folder that exists" in done.stderr


def test_debug_adds_the_traceback_and_keeps_the_exit_code() -> None:
    done = txtop("show", "nope", "--debug")
    assert done.returncode == 4 and "Traceback" in done.stderr


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "latin-1"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_output_that_is_not_utf_8_gets_an_ascii_form(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*TXTOP, "show", "gpt2-precisions"], capture_output=True, env={**os.environ, **environment}
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"2.1 %" in done.stdout and "\u2014".encode() not in done.stdout


def test_a_session_that_is_none_exits_4(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("hello\n")
    for arguments in (("show", "nope"), ("replay", str(tmp_path / "x.jsonl")), ("export", "nope")):
        done = txtop(*arguments)
        assert done.returncode == 4 and len(done.stderr.splitlines()) == 1


def test_the_schema_of_the_export_holds_for_the_export(six: Six) -> None:
    import msgspec

    from txtop.export.schema import Export

    body = (six[0] / "out.json").read_bytes()
    assert msgspec.json.decode(body, type=Export, strict=True).schema == "txtop/1"
    schema = json.loads(txtop("export", "--schema").stdout)
    assert "Export" in json.dumps(schema)
