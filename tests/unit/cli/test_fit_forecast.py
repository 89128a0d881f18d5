"""`fit` for more memory than there is here: a forecast alone, which is printed and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from txtop.cli.common import StartOptions
from txtop.cli.fit import fit
from txtop.cli.tune import tune
from txtop.errors import UsageError
from txtop.options.fit_options import FitRuleOptions
from txtop.options.tune_options import TuneRuleOptions

RULES = FitRuleOptions(largest="both", memory="240GiB")


def test_the_forecast_is_exported_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "fit.json"
    assert fit("gpt2", rules=RULES, start=StartOptions(json_file=str(target))) == 0
    assert "expected to fit" in capsys.readouterr().out
    body = json.loads(target.read_text(encoding="utf-8"))
    batch, length = body["forecasts"]
    assert (batch["knob"], length["knob"]) == ("batch_size", "sequence_length")
    assert batch["beyond"] == batch["fits"] + 1
    assert batch["needed_bytes"] <= body["limit_bytes"] < batch["beyond_bytes"]
    # The context of gpt2 ends before the memory does.
    assert length["fits"] == 992 and length["beyond"] is None
    assert 0 < body["free_bytes"] < body["limit_bytes"]


def test_the_export_alone_goes_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("gpt2", rules=RULES, start=StartOptions(json_file="-")) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["schema"] == "txtop/1-forecast"
    assert "expected to fit" in printed.err


@pytest.mark.parametrize(
    ("name", "start", "option"),
    [("night", StartOptions(), "--name"), (None, StartOptions(detach=True), "--detach")],
)
def test_what_concerns_a_recording_is_refused(
    name: str | None, start: StartOptions, option: str
) -> None:
    with pytest.raises(UsageError, match=f"{option}: nothing runs and nothing is recorded"):
        fit("gpt2", rules=RULES, name=name, start=start)


@pytest.mark.parametrize(
    ("rules", "option"),
    [
        (FitRuleOptions(iterations=0), "--iterations 0"),
        (FitRuleOptions(seed=-1), "--seed -1"),
        (FitRuleOptions(timeout_s=0.0), "--timeout 0"),
    ],
)
def test_a_number_out_of_bounds_is_refused_before_anything_starts(
    rules: FitRuleOptions, option: str
) -> None:
    with pytest.raises(UsageError, match=option):
        fit("gpt2", rules=rules)


def test_the_most_sequences_are_no_limit_of_the_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit("gpt2", rules=FitRuleOptions(memory="9000GiB")) == 0
    assert "not to fit  nothing: a search ends at 65,536 sequences" in capsys.readouterr().out


def test_less_memory_than_a_process_takes_is_refused_before_anything_loads() -> None:
    with pytest.raises(UsageError, match="394 MiB before any model"):
        fit("gpt2", rules=FitRuleOptions(memory="10MiB"))
    with pytest.raises(UsageError, match="394 MiB before any model"):
        tune("gpt2", rules=TuneRuleOptions(memory="1MiB"))
