"""Durations and sizes as people type them, in every place that takes one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txtop.cli.app import run_command_line
from txtop.options import plan_file
from txtop.options.ab_options import ABRuleOptions
from txtop.options.run_options import RunOptions
from txtop.options.serving import parse_slo
from txtop.quantities import parse_duration, parse_position, parse_size
from txtop.session import manage


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30", 30), ("30s", 30), ("2m", 120), ("1h30m", 5400), ("1h", 3600), ("1.5h", 5400),
        ("90 s", 90), ("1m 30s", 90), ("500ms", 0.5), ("1s500ms", 1.5), (".5", 0.5), ("2min", 120),
        ("10sec", 10), (" 5S ", 5), ("0", 0), ("7.25", 7.25),
        ("", None), ("s", None), ("soon", None), ("-5", None), ("1h30", None), ("30m1h", None),
        ("1e3", 1000), ("1e999", None), ("inf", None), ("nan", None), ("2d", None), ("1:30", None),
        ("9" * 99, None), ("1m2m", None), ("\u0663s", None),
    ],
)  # fmt: skip
def test_durations(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 999))
def test_the_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int, ms: int) -> None:
    total = parse_duration(f"{hours}h{minutes}m{seconds}s{ms}ms")
    assert total == pytest.approx(hours * 3600 + minutes * 60 + seconds + ms / 1000)


def test_a_bare_number_is_in_the_unit_of_its_option() -> None:
    assert parse_duration("20", "ms") == 20 == parse_duration("0.02s", "ms")
    assert parse_duration("20", bare=False) is None
    assert parse_position("1:23") == 83_000_000_000 == parse_position("1m23s")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("24GiB", 24 << 30), ("24G", 24 * 10**9), ("24GB", 24 * 10**9), ("500MB", 5 * 10**8),
        ("1.5 TiB", 3 << 39), ("512k", 512_000), ("4KiB", 4096), ("100B", 100),
        ("24gib", 24 << 30),
        ("", None), ("100", None), ("900.5", None), ("G", None), ("-1G", None), ("24i", None),
        ("24GG", None), ("1e3", None), ("nan", None), ("many", None),
    ],
)  # fmt: skip
def test_sizes(text: str, size: int | None) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("command", ["fit", "tune"])
@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("900", "--memory 900: unit missing: 900MiB or 900GiB"),
        ("0.5", "--memory 0.5: unit missing: 0.5MiB or 0.5GiB"),
        ("much", "--memory: 'much' is not a size: write 24GiB, 24G or 500MB"),
        ("0GiB", "--memory: '0GiB' is not a size: write 24GiB, 24G or 500MB"),
    ],
)
def test_a_memory_needs_a_unit(
    command: str, text: str, refusal: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command_line([command, "gpt2", "--memory", text]) == 2
    assert capsys.readouterr().err == f"txtop: {refusal}\n"


def test_a_bare_size_is_in_the_unit_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (parse_size("20", bare="g"), parse_size("20B", bare="g")) == (20 * 10**9, 20)
    for text, warned in (("2", False), ("1500MB", False), ("1GiB", True), ("1", True)):
        monkeypatch.setenv(manage.CAP_VARIABLE, text)
        assert (manage.format_cap_warning(1_200_000_000) is not None) is warned
    monkeypatch.setenv(manage.CAP_VARIABLE, "much")
    assert "it takes GB, as 20 or 500MB" in (manage.format_cap_warning(0) or "")


@pytest.mark.parametrize("command", ["run", "ab"])
@pytest.mark.parametrize("option", ["--budget", "--timeout", "--max-wait-ms"])
def test_every_option_that_takes_a_duration(
    command: str, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if (command, option) == ("ab", "--max-wait-ms"):
        return
    model = ["gpt2"] if command == "ab" else ["--scenario", "dynamic"]
    assert run_command_line([command, *model, option, "soon"]) == 2
    assert f"{option}: 'soon' is not a duration: write 2" in capsys.readouterr().err.replace(
        "write 30", "write 2"
    )
    assert run_command_line([command, "--help"]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if f"│ {option} " in x)
    assert "TIME" in line


def test_run_and_plan_files_read_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved.toml"
    arguments = ["--timeout", "1h30m", "--budget", "90s", "--scenario", "dynamic"]
    arguments += ["--max-wait-ms", "0.5s", "--save-plan", str(saved)]
    assert run_command_line(["run", *arguments]) == 0, capsys.readouterr().err
    typed = tmp_path / "typed.toml"
    typed.write_text(
        'scenario = ["dynamic"]\nbudget = "90s"\ntimeout = "1h30m"\nmax_wait_ms = "0.5s"\n'
    )
    read = plan_file.read_plan_file(typed)
    assert read == plan_file.read_plan_file(saved)
    assert (read.timeout_s, read.budget_s, read.max_wait_ms) == (5400.0, 90.0, 500.0)


def test_no_option_of_seconds_or_ms_is_a_bare_number() -> None:
    names = {"budget", "timeout", "max_wait_ms"}
    for options in (RunOptions, ABRuleOptions):
        hints = get_type_hints(options, include_extras=True)
        for field in fields(options):
            timed = field.name.endswith(("_s", "_ms")) or field.name in names
            converts = any(getattr(p, "converter", None) for p in get_args(hints[field.name]))
            assert converts or not timed, field.name


def test_latencies_take_every_unit() -> None:
    assert parse_slo("ttft=0.2s,tpot=50ms,e2e=1m").e2e_ms == 60_000
