"""The judgements of call 3 of the acceptance run on made-up results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from gpu import checks_users, published
from support.gpu_results import GIB, Events, ab, cell, failing


@pytest.mark.parametrize(
    ("fidelity", "wrong"),
    [
        ({}, []),
        ({"badge": "visible"}, ["the badge of bf16"]),
        ({"ppl_ratio": 1.02}, ["perplexity, bf16 over fp32"]),
        ({"ppl_ratio": None}, ["perplexity, bf16 over fp32"]),
        ({"kld_floor": 2e-5}, ["floor of the comparison"]),
    ],
)
def test_pretrained_weights(fidelity: dict[str, Any], wrong: list[str]) -> None:
    export = ab()
    export["comparisons"][0]["fidelity"].update(fidelity)
    assert failing(checks_users.judge_pretrained_ab(export)) == wrong


def test_pretrained_weights_are_read() -> None:
    export = ab()
    export["cells"][0]["weights"] = "random"
    export["cells"][1]["status"] = "failed"
    assert failing(checks_users.judge_pretrained_ab(export)) == ["both arms ok", "pretrained"]


@pytest.mark.parametrize(("kld", "wrong"), [(0.019, False), (None, False), (0.021, True)])
def test_the_output_of_int8(kld: float | None, wrong: bool) -> None:
    fidelity = {"badge": "minor", "kld": kld, "kld_floor": 1e-6, "top1": 0.97}
    cells = [cell(), cell(precision="int8:weight-only", fidelity=fidelity)]
    assert bool(failing(checks_users.judge_int8_output(cells))) == wrong
    assert failing(checks_users.judge_int8_output([cell()])) == ["int8 was compared"]


def comparison(**changes: Any) -> dict[str, Any]:
    one = {
        "cell": "gpt2",
        "contrast": {"ratio": 1.0},
        "reasons": [],
        "notes": [],
        "verdict": "same",
    }
    return {"outcome": "no regression", "exit_code": 0, "cells": [{**one, **changes}]}


def test_two_versions_of_transformers() -> None:
    judge = checks_users.judge_versions
    versions = ["5.17.0", "5.23.0", "5.23.0", "5.17.0"]
    assert failing(judge(versions, comparison(), 0)) == []
    assert failing(judge(["5.17.0"] * 4, comparison(), 0)) == ["two versions"]
    assert failing(judge(versions, comparison(), 1)) == ["exit code"]
    slower = {"contrast": {"ratio": 0.9}}
    assert failing(judge(versions, comparison(**slower), 0)) == ["speed, other transformers, gpt2"]
    assert failing(judge(versions, comparison(**slower, verdict="regression"), 0)) == []
    other = {**comparison(contrast=None), "outcome": "not comparable", "exit_code": 3}
    assert "comparable" in failing(judge(versions, other, 3))


def test_an_old_transformers_is_refused_by_name() -> None:
    refused = [cell(status="rejected", reason="needs transformers 5.18 or newer")]
    assert failing(checks_users.judge_old_refusal("", 1, refused)) == []
    old = [cell(status="rejected", reason="needs transformers 5.17 or newer")]
    assert failing(checks_users.judge_old_refusal("", 1, old)) == ["names 5.18"]
    assert failing(checks_users.judge_old_refusal("5.18", 0, [cell()])) == ["refused"]


def requests(name: str, hashes: Iterable[str]) -> Events:
    return [
        {"kind": "request", "cell": name, "role": "measured", "index": i, "gaps_ns": [10**6],
         "output_sha256": output}
        for i, output in enumerate(hashes)
    ]  # fmt: skip


def test_requests_are_answered_alike_in_every_scenario() -> None:
    answered = {"sent": 2, "unanswered": 0}
    cells = [cell(s, scenario=s, requests=answered) for s in ("single", "dynamic")]
    events = [*requests("single", "ab"), *requests("dynamic", "ab")]
    assert failing(checks_users.judge_serving(cells, events, ["single", "dynamic"])) == []
    assert failing(checks_users.judge_serving(cells, events, ["continuous"])) == ["scenarios"]
    assert failing(checks_users.judge_same_outputs(cells, events)) == []
    events[-1]["output_sha256"] = "x"
    assert failing(checks_users.judge_same_outputs(cells, events)) == [
        "fp32 requests with the same output, dynamic, of 2"
    ]
    assert failing(checks_users.judge_same_outputs(cells[:1], events)) == ["two scenarios"]
    cells[0]["requests"] = {"sent": 2, "unanswered": 1}
    assert failing(checks_users.judge_serving(cells, events, ["single"])) == [
        "single: all answered"
    ]
    assert checks_users.gap_p99_ms(events, "single") == 1.0


def test_the_peak_of_continuous_batching() -> None:
    events: Events = [{"kind": "telemetry", "values": {"memory_total_bytes": 80 * GIB}}]
    full = cell(scenario="continuous", metrics={"peak_memory_reserved_bytes": 72.0 * GIB})
    assert len(failing(checks_users.judge_continuous_peak([full], events))) == 1
    noted = {**full, "notes": ["its cache takes what memory is free"]}
    assert failing(checks_users.judge_continuous_peak([noted], events)) == []
    small = cell(scenario="continuous", metrics={"peak_memory_reserved_bytes": 7.0 * GIB})
    assert failing(checks_users.judge_continuous_peak([small], events)) == []


FRAME = """╭─ this machine ─── H100 ─╮
 GPU    97 %
 clock 1,980 MHz   temp 54 °C   throttle none
 ✓ gpt2         bf16 """


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ("this machine", "that", "the machine's panel"),
        ("✓", "▸", "cells are done at the end"),
        ("H100", "L4", "this GPU by name"),
        ("GPU    97 %", "", "a gauge of the GPU"),
        ("1,980 MHz", "-", "its clock"),
        ("54 °C", "-", "its temperature"),
        ("throttle none", "throttle power", "throttle none"),
        ("clock", "Traceback", "no traceback"),
    ],
)
def test_the_screen(old: str, new: str, name: str) -> None:
    assert failing(checks_users.judge_screen([FRAME], "NVIDIA H100 80GB HBM3")) == []
    frame = FRAME.replace(old, new)
    assert failing(checks_users.judge_screen([frame], "NVIDIA H100 80GB HBM3")) == [name]


SMI = """
    Product Name                          : NVIDIA H100 80GB HBM3
    Persistence Mode                      : Enabled
    MIG Mode
        Current                           : Disabled
        Pending                           : Disabled
    Compute Mode                          : Default
    Temperature
        GPU Current Temp                  : 33 C
    GPU Power Readings
        Current Power Limit               : 700.00 W
    Clocks
        Graphics                          : 345 MHz
"""


def test_nothing_is_left_behind() -> None:
    before = checks_users.read_settings(SMI)
    assert set(before.values()) == {"Enabled", "Disabled", "Default", "700.00 W"}
    idle = checks_users.read_settings(SMI.replace("345 MHz", "1980 MHz").replace("33 C", "60 C"))
    assert failing(checks_users.judge_left_behind([], before, idle)) == []
    capped = checks_users.read_settings(SMI.replace("700.00", "500.00"))
    assert failing(checks_users.judge_left_behind([], before, capped)) == ["settings as before"]
    assert failing(checks_users.judge_left_behind(["77, python3"], before, before)) == [
        "no process left"
    ]


def test_published_figures_stand_beside_ours() -> None:
    bert = {"model": "bert-base-uncased", "precision": "fp16", "family": "encoder"}
    cells = [
        cell(**bert, attention=attention, metrics={"e2e_ms": ms})
        for attention, ms in (("eager", 6.0), ("sdpa", 3.0))
    ]
    details = [f.detail for f in published.format_published(cells)]
    assert any("ours 6, published 5.736 ms, 1.05 x" in text for text in details)
    assert any(text == "ours 2, published 1.15" for text in details)
