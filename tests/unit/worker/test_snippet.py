"""The program of a configuration: plain Transformers that makes the same tokens as the worker."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from support import streams, tiny_models
from support.inline_worker import run_inline
from support.warm_workers import build_warm_command
from txtop.export.snippet import build_serve_command, build_snippet
from txtop.plan.cell import Cell
from txtop.plan.plan import Plan
from txtop.protocol import commands, events
from txtop.state.fold import fold_all
from txtop.state.session import SessionState

torch = pytest.importorskip("torch")


def run_program(text: str) -> dict[str, Any]:
    """Run a program as an import does, and return its names."""
    names: dict[str, Any] = {"__name__": "program"}
    exec(compile(text, "program.py", "exec"), names)
    return names


@dataclass
class Measured:
    """A loaded cell: its session, the tokens of its first sequence, the operators of one call."""

    state: SessionState
    tokens: list[int]
    operators: list[str]


def list_operators(call: Callable[[], object]) -> list[str]:
    """Return the operators of torch that `call` runs, in order.

    Without those that take a token to the host for the streamer, which do nothing on a CPU.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    ran: list[str] = []

    class Log(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, _types: Any, given: Any = (), named: Any = None
        ) -> Any:
            ran.append(str(function))
            return function(*given, **named or {})

    with Log():
        call()
    assert ran
    return [name for name in ran if name != "aten.to.dtype_layout"]


def measure(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Load `cell` in a worker and run it once."""
    from txtop.worker.tasks.task import make_inputs

    with run_inline(monkeypatch) as worker:
        worker.follow(commands.LoadModel(cell=cell, started_ns=0, seed=0))
        (load,) = worker.of(events.ModelLoaded)
        loaded = worker.loaded
        made: list[int] = []
        inputs = make_inputs(cell, loaded.vocabulary, 0, loaded.device, loaded.end_token)
        if loaded.family != "encoder":
            loaded.task.iterate(
                inputs, False, None, lambda: None, lambda ids: made.append(int(ids[0]))
            )
        operators = list_operators(lambda: loaded.task.iterate(inputs, False, None, lambda: None))
        header = streams.stream(Plan(cells=(cell,)))[:2]
        started = events.CellStarted(t_ns=header[1].t_ns, cell=cell.id, worker="worker")
        load.t_ns = started.t_ns
        return Measured(fold_all([*header, started, load]), made, operators)


@pytest.mark.parametrize(
    ("precision", "attention", "cache"),
    [("fp32", "sdpa", "dynamic"), ("bf16", "eager", "static"), ("int8", "sdpa", "dynamic")],
)
def test_a_program_makes_the_tokens_that_were_measured(
    precision: str, attention: str, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if precision == "int8":
        pytest.importorskip("torchao")
    cell = Cell(
        id="c1", model=str(tiny_models.gpt2(tmp_path / "m")), precision=precision, threads=1,  # type: ignore[arg-type]
        attention=attention, cache=cache, batch_size=2, sequence_length=8, new_tokens=6,  # type: ignore[arg-type]
        device="cpu",
    )  # fmt: skip
    measured = measure(cell, monkeypatch)
    names = run_program(build_snippet(measured.state, measured.state.cells["c1"]))
    written = names["call"]()
    assert written.shape == (2, 14)
    assert written[0, 8:].tolist() == measured.tokens
    assert names["measure"](2) > 0
    assert list_operators(names["call"]) == measured.operators


def test_a_program_of_an_encoder_is_one_forward_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tiny_models.bert(tmp_path / "m"))
    cell = Cell(id="c1", model=model, batch_size=2, sequence_length=8, threads=1, device="cpu")
    measured = measure(cell, monkeypatch)
    program = build_snippet(measured.state, measured.state.cells["c1"])
    names = run_program(program)
    assert names["call"]()[0].shape[:2] == (2, 8)
    assert list_operators(names["call"]) == measured.operators
    own = measured.state.cells["c1"]
    assert build_serve_command(own) == "" and own.load is not None
    own.load = msgspec.structs.replace(own.load, recipe="torch-dynamic")
    quantised = build_snippet(measured.state, own)
    assert "quantize_dynamic" in quantised and "Conv1D" not in quantised
    # In a process of its own, which has nothing of txtop but the imports.
    (tmp_path / "program.py").write_text(program, encoding="utf-8")
    run = subprocess.run(
        build_warm_command(tmp_path / "program.py"), capture_output=True, text=True, timeout=120
    )
    assert re.fullmatch(r"[0-9,.]+ seq/s\n", run.stdout), run.stderr


def test_a_program_of_random_weights_needs_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tiny_models.gpt2(tmp_path / "m", weights=False))
    cell = Cell(id="c1", model=model, weights="random", sequence_length=8, new_tokens=2,
                threads=1, device="cpu")  # fmt: skip
    measured = measure(cell, monkeypatch)
    own = measured.state.cells["c1"]
    names = run_program(build_snippet(measured.state, own))
    assert list_operators(names["call"]) == measured.operators
    # A built-in one needs no network: its configuration is in the program.
    own = replace(own, cell=msgspec.structs.replace(cell, model="gpt2"))
    monkeypatch.setattr("transformers.GPT2LMHeadModel._from_config", Drawn)
    program = build_snippet(measured.state, own).partition("# A collection")[0]
    with pytest.raises(Drawn) as drawn:
        run_program(program)
    assert drawn.value.config.n_positions == 1024 and drawn.value.config.n_layer == 12


class Drawn(Exception):
    """The configuration with which a model is to be made, instead of making it."""

    def __init__(self, config: Any, **_: Any) -> None:
        super().__init__()
        self.config = config
        raise self


def test_a_server_is_offered_where_transformers_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = str(tiny_models.gpt2(tmp_path / "m"))
    cell = Cell(id="c1", model=model, precision="bf16", sequence_length=8, new_tokens=2,
                batch_size=4, threads=1, device="cpu")  # fmt: skip
    state = measure(cell, monkeypatch).state
    assert build_serve_command(state.cells["c1"]) == (
        f"OMP_NUM_THREADS={state.cells['c1'].load.threads} transformers serve {model}"
        " --dtype bfloat16 --attn-implementation sdpa --device cpu"
        " --continuous-batching"
    )
