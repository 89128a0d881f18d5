"""What the runner tells a worker, one JSON object a line on the worker's standard input.

The worker answers with events alone. It loads the model named on its first order and then
does one order at a time; `cancel` overtakes the others.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from txtop.plan.cell import Cell, Count, Positive
from txtop.plan.plan import Allowed


class LoadModel(msgspec.Struct, tag_field="order", tag="load", frozen=True, kw_only=True):
    """Load the weights that `cell` and its group share. Answered by `load` or `cell_rejected`
    (name, Hub, precision) or `cell_finished` (oom, failed).

    `started_ns` is the monotonic time at which the runner started this worker's process; `allowed`
    is what the run's flags let a repository do.
    """

    cell: Cell
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()


class Prepare(msgspec.Struct, tag_field="order", tag="prepare", frozen=True, kw_only=True):
    """Build the inputs of `cell` and reset the peaks of memory. Answered by `workload`."""

    cell: Cell


class Inspect(msgspec.Struct, tag_field="order", tag="inspect", frozen=True, kw_only=True):
    """One untimed, profiled pass; peaks of memory are reset after it. Answered by `kernels`, or by
    `cell_finished` (failed) where another attention kernel ran than was asked for."""

    cell: str


class Iterate(msgspec.Struct, tag_field="order", tag="iterate", frozen=True, kw_only=True):
    """Do `count` iterations, numbered from `index`. Each is answered by `steps` and `iteration`."""

    cell: str
    role: Literal["first", "warmup", "measured"]
    index: Count
    count: Positive = 1


class Serve(msgspec.Struct, tag_field="order", tag="serve", frozen=True, kw_only=True):
    """Be the server that `cell` describes until `close`: each `arrive` is a request, answered by
    `request` when it is done. `lanes` are told now and then."""

    cell: str


class Arrive(msgspec.Struct, tag_field="order", tag="arrive", frozen=True, kw_only=True):
    """Request `index` comes to the server. It was meant to come at `arrival_ns` and was let go at
    `sent_ns`, on the clock that both share."""

    cell: str
    index: Count
    role: Literal["warmup", "measured"]
    arrival_ns: int
    sent_ns: int


class Close(msgspec.Struct, tag_field="order", tag="close", frozen=True, kw_only=True):
    """Every request was answered and none comes any more: stop serving."""

    cell: str


class Finish(msgspec.Struct, tag_field="order", tag="finish", frozen=True, kw_only=True):
    """The cell is over: free its inputs. Answered by `memory`."""

    cell: str


class Compare(msgspec.Struct, tag_field="order", tag="compare", frozen=True, kw_only=True):
    """Hold the output of `cell` against that of `reference`, over so many next-token distributions.
    Answered by `comparing` now and then and by one `fidelity`, which says so where it failed.

    What the reference answered is kept: a later order with the same reference, positions and seed
    loads its own cell alone. A model that was loaded to be measured is dropped. On `cancel` there
    is no `fidelity`.
    """

    cell: Cell
    reference: Cell
    positions: Positive
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()


class Cancel(msgspec.Struct, tag_field="order", tag="cancel", frozen=True, kw_only=True):
    """Stop after the step at hand; the open iteration or comparison is not reported. Answered by
    `phase` idle."""

    cell: str


class Quit(msgspec.Struct, tag_field="order", tag="quit", frozen=True, kw_only=True):
    """End the process. The end of standard input means the same."""


WorkerCommand = (
    LoadModel
    | Prepare
    | Inspect
    | Iterate
    | Serve
    | Arrive
    | Close
    | Finish
    | Compare
    | Cancel
    | Quit
)
_decoder: msgspec.json.Decoder[WorkerCommand] = msgspec.json.Decoder(WorkerCommand)


def encode_command(order: WorkerCommand) -> bytes:
    """One line, newline included."""
    return msgspec.json.encode(order) + b"\n"


def decode_command(line: bytes) -> WorkerCommand:
    """Raises `msgspec.DecodeError` on anything that is not an order."""
    return _decoder.decode(line)
