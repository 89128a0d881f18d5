"""Commands of the runner to a worker, one JSON object per line on the worker's standard input.

A worker answers with events only. It loads the model of its first command and then executes one
command at a time, in order; `cancel` overtakes the others.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from txtop.plan.cell import Cell, Count
from txtop.plan.plan import Allowed
from txtop.plan.serving import Positive
from txtop.plan.task import TaskSpec


class Find(msgspec.Struct, tag_field="order", tag="find", frozen=True, kw_only=True):
    """Find the models that `cell` names, without reading their weights.

    Answered by `phase` idle, or by `cell_rejected` if one of them is nowhere.
    """

    cell: Cell
    allowed: Allowed = Allowed()


class LoadModel(msgspec.Struct, tag_field="order", tag="load", frozen=True, kw_only=True):
    """Load the weights that `cell` and its group share.

    Answered by `load`, by `cell_rejected` (name, Hub, precision), or by `cell_finished` (oom,
    failed). `started_ns` is the monotonic time at which the runner started this worker's process;
    `allowed` lists what the run's flags permit a repository to do. Loaded, the process may take
    `limit_bytes` in all, None for no limit. With `nvtx` load, requests and steps are ranges of
    NVTX.
    """

    cell: Cell
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()
    limit_bytes: int | None = None
    nvtx: bool = False


class Prepare(msgspec.Struct, tag_field="order", tag="prepare", frozen=True, kw_only=True):
    """Build the inputs of `cell` and reset the peaks of memory. Answered by `workload`."""

    cell: Cell


class Inspect(msgspec.Struct, tag_field="order", tag="inspect", frozen=True, kw_only=True):
    """Run one untimed, profiled pass, then reset the peaks of memory.

    Answered by `kernels`, or by `cell_finished` (failed) if another attention kernel ran than the
    cell asks for.
    """

    cell: str


class Iterate(msgspec.Struct, tag_field="order", tag="iterate", frozen=True, kw_only=True):
    """Run `count` iterations, numbered from `index`.

    Each is answered by `steps` and `iteration`. The batches of a file of prompts come in turn, the
    first being number `batch`; without one they go on after those of the iterations before.
    """

    cell: str
    role: Literal["first", "warmup", "measured"]
    index: Count
    count: Positive = 1
    batch: Count | None = None


class Serve(msgspec.Struct, tag_field="order", tag="serve", frozen=True, kw_only=True):
    """Be the server that `cell` describes until `close`.

    Each `arrive` is a request, answered by `request` when it is done. `lanes` are sent now and
    then.
    """

    cell: str


class Arrive(msgspec.Struct, tag_field="order", tag="arrive", frozen=True, kw_only=True):
    """Hand request `index` to the server.

    It was scheduled for `arrival_ns` and sent at `sent_ns`, on the clock that runner and worker
    share.
    """

    cell: str
    index: Count
    role: Literal["warmup", "measured"]
    arrival_ns: int
    sent_ns: int


class Close(msgspec.Struct, tag_field="order", tag="close", frozen=True, kw_only=True):
    """Stop serving: every request was answered, and no other will come."""

    cell: str


class Finish(msgspec.Struct, tag_field="order", tag="finish", frozen=True, kw_only=True):
    """End the cell and free its inputs. Answered by `memory`."""

    cell: str


class Compare(msgspec.Struct, tag_field="order", tag="compare", frozen=True, kw_only=True):
    """Compare the output of `cell` with that of `reference`.

    Both are read over `positions` next-token distributions. Answered by `comparing` now and then
    and by one `fidelity`, which has the reason if it failed. The reference's output is kept: a
    later command with the same reference, positions and seed loads its own cell only. A model that
    was loaded to be measured is dropped. After `cancel` there is no `fidelity`.
    """

    cell: Cell
    reference: Cell
    positions: Positive
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()


class Answer(msgspec.Struct, tag_field="order", tag="answer", frozen=True, kw_only=True):
    """Let `cell` answer all items of `task`.

    Answered by `answers` now and then and by one `answered`, which has the reason if it failed;
    with `tells_items` by `questions` before. The model is kept for the next task of the same cell.
    After `cancel` there is no `answered`.
    """

    cell: Cell
    task: TaskSpec
    tells_items: bool
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()


class Profile(msgspec.Struct, tag_field="order", tag="profile", frozen=True, kw_only=True):
    """Load `cell`, and read from a few profiled steps how long the device computes in each.

    Answered by one `device_time`, which has the reason if it failed. The profiler slows down what
    its process runs afterwards, so the worker must not be used again.
    """

    cell: Cell
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()


class Explain(msgspec.Struct, tag_field="order", tag="explain", frozen=True, kw_only=True):
    """Load `cell`, and profile where the time of its steps goes.

    Answered by `trace` for each phase and by one `explanation`, which has the reason if it failed.
    The worker must not be used again.
    """

    cell: Cell
    started_ns: int
    seed: Count
    allowed: Allowed = Allowed()


class Cancel(msgspec.Struct, tag_field="order", tag="cancel", frozen=True, kw_only=True):
    """Stop after the current step and do not report the open iteration or comparison.

    Answered by `phase` idle.
    """

    cell: str


class Quit(msgspec.Struct, tag_field="order", tag="quit", frozen=True, kw_only=True):
    """End the process. The end of standard input does the same."""


WorkerCommand = (
    Find
    | LoadModel
    | Prepare
    | Inspect
    | Iterate
    | Serve
    | Arrive
    | Close
    | Finish
    | Compare
    | Answer
    | Profile
    | Explain
    | Cancel
    | Quit
)
_decoder: msgspec.json.Decoder[WorkerCommand] = msgspec.json.Decoder(WorkerCommand)


def encode_command(command: WorkerCommand) -> bytes:
    """Return the command as one line with its newline."""
    return msgspec.json.encode(command) + b"\n"


def decode_command(line: bytes) -> WorkerCommand:
    """Decode one line. Raises `msgspec.DecodeError` for anything that is not a command."""
    return _decoder.decode(line)
