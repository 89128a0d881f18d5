"""The arms of `txtop ab` as they are typed."""

from __future__ import annotations

from typing import Any

import pytest

from txtop.cli import start
from txtop.cli.ab import ab
from txtop.errors import UsageError
from txtop.plan.plan import Plan


def build(monkeypatch: pytest.MonkeyPatch, **arms: Any) -> Plan:
    plans: list[Plan] = []
    monkeypatch.setattr(start, "run_plan", lambda plan, *rest: plans.append(plan) or 0)
    assert ab("gpt2", **arms) == 0
    return plans[0]


def test_a_second_arm_alone_is_compared_with_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, drafts = build(monkeypatch, b="speculative=prompt-lookup:10").cells
    assert (plain.speculative, drafts.speculative) == ("none", "prompt-lookup:10")
    assert (plain.precision, drafts.precision) == ("fp32", "fp32")


def test_other_arms_are_as_given(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = build(monkeypatch, b="threads=2", arm=["threads=1"]).cells
    assert (first.threads, second.threads) == (2, 1)
    with pytest.raises(UsageError, match="nothing to be compared with"):
        build(monkeypatch, a="threads=2")


def test_an_assistant_is_found_from_any_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "config.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    _, drafts = build(monkeypatch, b="speculative=assistant=./small").cells
    assert drafts.assistant == str(tmp_path / "small")
