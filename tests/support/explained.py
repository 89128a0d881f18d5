"""A cell that is explained in the process of the test, its model spoilt before if asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.inline_worker import run_inline
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands, events
from txtop.state.fold import fold
from txtop.state.session import SessionState

Spoil = Callable[[Any], None]


def write_gpt2(directory: Path, *, width: int = 512, layers: int = 3, positions: int = 128) -> Path:
    """Write the configuration of a decoder whose products take longer than its Python."""
    directory.mkdir(parents=True, exist_ok=True)
    config = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 2048,
        "n_positions": positions, "n_embd": width, "n_layer": layers, "n_head": width // 64,
        "bos_token_id": 0, "eos_token_id": 0,
    }  # fmt: skip
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return directory


def explain(
    monkeypatch: pytest.MonkeyPatch,
    model: Path | str,
    spoil: Spoil | None = None,
    *,
    cores: int = 1,
    padded: float = 0.0,
    **knobs: Any,
) -> SessionState:
    """Return the session of a cell that was explained on one thread.

    `spoil` changes the loaded model; `padded` of the prompt's positions are masked.
    """
    given: dict[str, Any] = {
        "sequence_length": 32,
        "new_tokens": 12,
        "threads": 1,
        "weights": "random",
    } | knobs
    cell = Cell(id="c001", model=str(model), **given)
    state = SessionState()
    header = events.SessionHeader(
        t_ns=1, schema=events.LOG_SCHEMA, session="s", wall_s=0.0, plan=Plan(cells=(cell,)),
        workload_sha256="", machine=events.Machine(
            hostname="h", os="o", cpu="c", cores_physical=cores, cores_logical=cores,
            memory_bytes=1, python="3",
        ), versions={}, seed=0, boot_id="b",
    )  # fmt: skip
    monkeypatch.setattr("txtop.system.cpu.count_allowed_cores", lambda: cores)
    with run_inline(monkeypatch) as worker:
        worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0))
        (load,) = worker.of(events.ModelLoaded)
        loaded = worker.loaded
        if spoil is not None:
            spoil(loaded.model)
        from txtop.worker.explain.explain import explain_cell
        from txtop.worker.tasks.task import make_inputs

        inputs = make_inputs(cell, loaded.vocabulary, 0, loaded.device, loaded.end_token)
        masked = inputs.mask.clone()
        masked[:, : round(padded * masked.shape[1])] = 0
        inputs = replace(inputs, mask=masked)
        explanation, traces = explain_cell(loaded.task, loaded.model, inputs, lambda: None)
    started = events.CellStarted(t_ns=2, cell="c001", worker="worker:1")
    made: tuple[events.AnyEvent, ...] = (header, started, load, *traces, explanation)
    for event in made:
        event.t_ns = state.clock_ns + 3
        fold(state, event)
    return state
