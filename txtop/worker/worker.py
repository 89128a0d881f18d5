"""The loop of the worker: it runs one command at a time and answers each with events.

A failure ends in one `cell_finished`, `cell_rejected` or `fidelity` event. Imports that need torch
are local: `configure_environment` must run before the first of them.
"""

from __future__ import annotations

import gc
import os
import traceback
from dataclasses import asdict, replace
from time import perf_counter_ns
from typing import TYPE_CHECKING

import msgspec

from txtop.errors import TxtopError
from txtop.models import model_config, precision_kernels
from txtop.plan.cell import Cell
from txtop.plan.modes import DENSE
from txtop.protocol import commands, events
from txtop.sanitise import sanitise
from txtop.worker import failures, kernel_warnings
from txtop.worker.command_queue import Cancelled, CommandQueue, ThreadMessage
from txtop.worker.device import identify_device
from txtop.worker.event_writer import EventWriter
from txtop.worker.failures import AbsentError, RejectedError
from txtop.worker.kernel_warnings import KernelWarnings
from txtop.worker.loading.load import load_model
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.phase_timer import PhaseTimer
from txtop.worker.loading.source import require_present
from txtop.worker.measured_cells import LaterCommand, MeasuredCells
from txtop.worker.nvtx import NO_NVTX, NvtxRanges, open_library
from txtop.worker.ranks.lockstep import Ranks

if TYPE_CHECKING:
    from txtop.worker.serving.prompts import Prompts
    from txtop.worker.tasks.task import ModelInputs

_CellCommand = (
    commands.Find
    | commands.LoadModel
    | commands.Prepare
    | commands.Inspect
    | commands.Iterate
    | commands.Serve
    | commands.Arrive
    | commands.Close
    | commands.Finish
    | LaterCommand
    | commands.Cancel
)
# These need no loaded model.
_MODEL_FREE_COMMANDS = (
    commands.Find,
    commands.LoadModel,
    commands.Compare,
    commands.Answer,
    commands.Profile,
    commands.Explain,
    commands.Cancel,
)
_DRAIN_S = 2.0
"""The time given to the reader to take the last events before the process ends."""
_RETRY_S = 0.05
"""The pause between two attempts to write what the reader did not take."""
_LAST_LINES = 40
"""Lines of the traceback that a failure carries."""


class Worker:
    """The worker's state: at most one loaded model, and the inputs of at most one cell.

    With a `rank` above 0 it follows the commands of another worker, whose model it has a part of.
    """

    def __init__(self, name: str, emitter: EventWriter, inbox: CommandQueue, rank: int = 0) -> None:
        self._name = name
        self._emitter = emitter
        self._inbox = inbox
        self._loaded: LoadedModel | None = None
        self._inputs: ModelInputs | None = None
        self._batches: list[ModelInputs] = []
        self._next_batch = 0
        self._prompts: Prompts | None = None
        self._ranks = Ranks(name, inbox, rank)
        self._measured_cells = MeasuredCells(name, emitter, inbox, self._ranks)
        self._phase = "idle"
        self._nvtx = NvtxRanges()
        self._warnings = KernelWarnings()
        self._warnings.install()

    def run(self) -> None:
        """Run commands until `quit`."""
        while True:
            command = self._inbox.get(_RETRY_S if self._emitter.pending else None)
            if isinstance(command, commands.Quit):
                self.leave(0)
            elif isinstance(command, str):
                text = sanitise(command, 400)
                self._emitter.send(events.Log(t_ns=perf_counter_ns(), text=text, level="error"))
            elif command is None or isinstance(command, ThreadMessage):
                self._emitter.flush()
            else:
                self._follow(command)

    def leave(self, code: int) -> None:
        """Wait for the reader to take the pending events, then exit with `code`."""
        self._emitter.drain(_DRAIN_S)
        os._exit(code)

    def _follow(self, command: _CellCommand) -> None:
        cell = command.cell if isinstance(command.cell, str) else command.cell.id
        if self._loaded is None and not isinstance(command, _MODEL_FREE_COMMANDS):
            text = f"{command.__struct_config__.tag} ignored: no model is loaded"
            self._emitter.send(events.Log(t_ns=perf_counter_ns(), text=text, level="warning"))
            return
        try:
            if not isinstance(command, LaterCommand | commands.Find):
                self._ranks.enlist(command)
            if isinstance(command, commands.Find):
                self._find(command)
            elif isinstance(command, commands.LoadModel):
                self._load(command)
            elif isinstance(command, commands.Prepare):
                self._prepare(command)
            elif isinstance(command, commands.Inspect):
                self._inspect(cell)
            elif isinstance(command, commands.Iterate):
                self._iterate(command)
            elif isinstance(command, commands.Serve):
                self._serve(command)
            elif isinstance(command, commands.Arrive | commands.Close):
                # These were on their way to a server that has failed.
                pass
            elif isinstance(command, commands.Finish):
                self._finish(cell)
            elif isinstance(command, LaterCommand):
                self._follow_later(command)
            else:
                self._enter(cell, "idle")
        except Cancelled:
            pass
        except RejectedError as error:
            self._reject(cell, error)
            if self._ranks.rank and self._loaded is None:
                # What rank 0 finds fault with as well it says itself, or it waits for this one.
                self.leave(1)
        except Exception as error:
            traceback.print_exc()
            device = self._loaded.device.type if self._loaded is not None else "cpu"
            if self._inputs is not None and kernel_warnings.is_missing_kernel(error):
                self._reject(cell, self._explain_missing_kernel(self._inputs.cell.attention))
            else:
                own = failures.classify(error, self._phase, device)
                self._report(cell, self._ranks.explain(own))

    def _follow_later(self, command: LaterCommand) -> None:
        self._loaded = self._inputs = None
        if self._measured_cells.follow(command):
            self.leave(failures.EXIT_DEVICE_LOST)

    def _reject(self, cell: str, error: RejectedError) -> None:
        self._inputs = None
        self._batches = []
        reason, hint = sanitise(error.cause, 400), sanitise(error.hint, 400)
        now = perf_counter_ns()
        may_pass = isinstance(error, AbsentError)
        self._emitter.send(
            events.CellRejected(t_ns=now, cell=cell, reason=reason, hint=hint, may_pass=may_pass)
        )

    def _explain_missing_kernel(self, attention: str) -> RejectedError:
        reason = kernel_warnings.find_reason(attention, self._warnings.texts)
        cause = f"{attention} has no kernel for this cell" + (f": {reason}" if reason else "")
        return RejectedError(cause, "--attention sdpa, which takes a kernel that fits")

    def _report(self, cell: str, failure: failures.Failure) -> None:
        # Ranks that are not in step any more wait for each other for ever.
        sticky = failure.sticky or self._ranks.are_several
        self._emitter.send(
            events.CellFinished(
                t_ns=perf_counter_ns(),
                cell=cell,
                status=failure.status,
                reason=failure.reason,
                hint=failure.hint,
                phase=self._phase,
                wanted_bytes=failure.wanted_bytes,
                stderr=traceback.format_exc().splitlines()[-_LAST_LINES:],
                sticky=sticky,
                busy=failure.busy,
            )
        )
        if sticky:
            self.leave(failures.EXIT_DEVICE_LOST)
        self._inputs = None
        self._batches = []
        self._free()

    def _find(self, command: commands.Find) -> None:
        def log(text: str) -> None:
            now = perf_counter_ns()
            self._emitter.send(events.Log(t_ns=now, text=text))

        for model in filter(None, (command.cell.model, command.cell.assistant)):
            require_present(model, command.allowed, log)
        self._enter(command.cell.id, "idle")

    def _load(self, command: commands.LoadModel) -> None:
        clock = PhaseTimer(command.started_ns, lambda name: self._enter(command.cell.id, name))
        library = open_library() if command.nvtx else None
        if command.nvtx and library is None:
            cell, now = command.cell.id, perf_counter_ns()
            self._emitter.send(events.Log(t_ns=now, text=NO_NVTX, level="warning", cell=cell))
        self._nvtx = NvtxRanges(library)
        self._nvtx.enter("load")
        self._loaded = load_model(command, clock, self._name, self._emitter.send)
        self._nvtx.leave()
        self._tell_peaks(command.cell.id, self._loaded)
        if command.limit_bytes is not None:
            from txtop.worker import memory

            memory.limit_memory(self._loaded.device, command.limit_bytes)

    def _tell_peaks(self, cell: str, loaded: LoadedModel) -> None:
        """Send the peaks of the device: once per process, after loading, before any timing."""
        from txtop.worker import peak_probe

        if loaded.geometry is None and loaded.ranks > 1:
            return
        self._enter(cell, "peaks")
        peaks = peak_probe.determine_peaks(loaded, *identify_device(loaded.device))
        if peaks is not None:
            self._emitter.send(peaks)

    def _prepare(self, command: commands.Prepare) -> None:
        from txtop.worker import memory
        from txtop.worker.loading import attention, kv_cache
        from txtop.worker.loading.load import require_decoding
        from txtop.worker.serving import continuous_server
        from txtop.worker.serving.prompts import Prompts
        from txtop.worker.tasks.prompt_batches import build_inputs, encode_prompts_of

        loaded = self._ready()
        cell = loaded.settle(command.cell)
        attention.require_kernel(cell, loaded.source.config, loaded.device)
        kv_cache.require_cache(
            cell, loaded.model, loaded.family, loaded.model.config, loaded.device
        )
        require_decoding(cell, loaded.family)
        kv_blocks: int | None = None
        if cell.scenario == "continuous":
            continuous_server.require_continuous(cell, loaded.family)
            continuous_server.require_pages(loaded.model.config.get_text_config())
        encoded = encode_prompts_of(loaded, cell)
        if encoded is not None and cell.prompts is not None:
            counted = msgspec.structs.replace(cell.prompts, tokens=encoded.counts)
            cell = msgspec.structs.replace(
                cell,
                prompts=counted,
                sequence_length=encoded.counts.most,
                new_tokens=max(encoded.new_tokens),
            )
        else:
            limits = loaded.position_limits
            refusal = model_config.explain_too_long(cell, loaded.family, limits.prompt, limits.new)
            if refusal:
                raise RejectedError(*refusal)
        if cell.scenario == "continuous":
            kv_blocks = continuous_server.count_blocks(cell, loaded.device)
        self._phase = "prepare"
        loaded.task.begin_cell()
        memory.reset_peaks(loaded.device, loaded.model)
        self._next_batch = 0
        self._batches = build_inputs(loaded, cell, encoded)
        # The longest comes first, to warm up: what the allocator has then suffices for the others.
        self._inputs = max(self._batches, key=lambda batch: batch.ids.shape[1])
        inputs_sha256 = self._inputs.sha256
        if cell.serving is not None:
            self._prompts = Prompts(cell, loaded.vocabulary, loaded.seed, encoded)
            inputs_sha256 = self._prompts.sha256
        self._emitter.send(
            events.Workload(
                t_ns=perf_counter_ns(),
                cell=cell.id,
                inputs_sha256=inputs_sha256,
                threads=loaded.threads,
                kv_blocks=kv_blocks,
                notes=_build_notes(loaded, cell) + (encoded.build_notes(cell) if encoded else []),
                prompt_tokens=encoded.lengths if encoded else [],
                new_tokens=encoded.new_tokens if encoded and encoded.asks else [],
            )
        )

    def _inspect(self, cell: str) -> None:
        from txtop.worker import memory
        from txtop.worker.tasks import kernel_check, speculation

        inputs, loaded = self._inputs, self._ready()
        if inputs is None or inputs.cell.id != cell:
            return
        self._enter(cell, "kernels")
        proof = DENSE
        if loaded.converted:
            proof = precision_kernels.find_proof(inputs.cell, loaded.source.quantisation)
        ran = kernel_check.inspect_kernels(loaded.task, inputs, loaded.device, proof)
        if inputs.cell.speculative != "none":
            compared = speculation.compare_with_plain(loaded.task, loaded.model, inputs)
            compared.t_ns = perf_counter_ns()
            self._emitter.send(compared)
        self._free()
        memory.reset_peaks(loaded.device, loaded.model)
        now = perf_counter_ns()
        self._emitter.send(
            events.Kernels(
                t_ns=now,
                cell=cell,
                prefill=ran.prefill,
                decode=ran.decode,
                products=list(ran.products[:16]),
                dequantises=ran.dequantises,
                communication=list(ran.communication) if self._ranks.are_several else [],
            )
        )

    def _iterate(self, command: commands.Iterate) -> None:
        inputs = self._inputs
        # Iterations of a cell that failed or was rejected may still arrive.
        if inputs is None or inputs.cell.id != command.cell:
            return
        if command.batch is not None:
            self._next_batch = command.batch
        for index in range(command.index, command.index + command.count):
            self._inbox.check_between()
            step = msgspec.structs.replace(command, index=index, count=1, batch=self._next_batch)
            with self._ranks.step(step):
                self._one(self._choose_batch(inputs, command.role), index, command.role)

    def _choose_batch(self, warm: ModelInputs, role: events.Role) -> ModelInputs:
        """Return the inputs of an iteration: `warm`, and measured all batches in turn."""
        if role != "measured":
            return warm
        self._next_batch += 1
        return self._batches[(self._next_batch - 1) % len(self._batches)]

    def _one(self, inputs: ModelInputs, index: int, role: events.Role) -> None:
        cell, loaded = inputs.cell.id, self._ready()

        def on_steps(first: int, gaps_ns: list[int]) -> None:
            now = perf_counter_ns()
            self._emitter.send(
                events.TokenTimings(t_ns=now, cell=cell, index=index, first=first, gaps_ns=gaps_ns)
            )

        def after_step() -> None:
            self._phase = "decode" if loaded.family != "encoder" else "forward"
            self._nvtx.step()
            self._inbox.check()

        self._phase = "prefill" if loaded.family != "encoder" else "forward"
        self._nvtx.enter("request")
        self._nvtx.enter("prefill")
        try:
            result = loaded.task.iterate(inputs, role != "measured", on_steps, after_step)
        finally:
            self._nvtx.leave_all()
        self._inbox.check()
        result = replace(result, cache_bytes=self._ranks.add_up(result.cache_bytes))
        self._emitter.send(
            events.Iteration(
                t_ns=perf_counter_ns(),
                cell=cell,
                index=index,
                role=role,
                prompt_tokens=inputs.prompt_tokens,
                padded_to=inputs.ids.shape[1] if inputs.prompt_tokens is not None else None,
                **asdict(result),
            )
        )

    def _serve(self, command: commands.Serve) -> None:
        from txtop.worker.serving import batch_server, continuous_server

        prompts, loaded = self._prompts, self._ready()
        if prompts is None or prompts.cell.id != command.cell or self._inputs is None:
            return
        cell = prompts.cell
        self._phase = "serve"
        if cell.scenario == "continuous":
            server = continuous_server.ContinuousServer(
                cell, loaded.model, prompts, self._inbox, self._emitter.send
            )
            server.run()
            return
        batch_server.serve_cell(
            cell, loaded.task, prompts, loaded.device, self._inbox, self._emitter.send
        )

    def _finish(self, cell: str) -> None:
        from txtop.worker import memory

        self._inputs = self._prompts = None
        self._batches = []
        event = memory.build_memory_event(cell, self._ready().device, perf_counter_ns())
        event.parts = self._ranks.collect_memory() or memory.list_parts(self._ready().model)
        self._emitter.send(event)
        self._free()

    def _free(self) -> None:
        from txtop.worker import memory

        gc.collect()
        if self._loaded is not None:
            memory.release_memory(self._loaded.device)

    def _ready(self) -> LoadedModel:
        if self._loaded is None:
            raise TxtopError("nothing is loaded")
        return self._loaded

    def _enter(self, cell: str, phase: str) -> None:
        self._phase = phase
        self._emitter.send(events.Phase(t_ns=perf_counter_ns(), cell=cell, name=phase))


def _build_notes(loaded: LoadedModel, cell: Cell) -> list[str]:
    from txtop.worker.loading import kv_cache

    if loaded.family == "encoder":
        return ["an encoder makes no new tokens"]
    cache = kv_cache.describe_cache(cell, loaded.model.config)
    notes = [f"KV cache: {cache}"] if cache else []
    if cell.new_tokens == 1:
        notes.append("one new token: no time per output token")
    if cell.speculative != "none" and cell.prompts is None:
        notes.append("drafted from a prompt of random tokens: real text accepts other shares")
    return notes
