"""Work on cells that were measured: their outputs, their answers, and profiled passes.

It loads models of its own and times nothing that a cell reports.
"""

from __future__ import annotations

import traceback
from time import perf_counter_ns
from typing import TYPE_CHECKING

from txtop.errors import TxtopError
from txtop.protocol import commands, events
from txtop.system import cpu
from txtop.worker import failures
from txtop.worker.command_queue import Cancelled, CommandQueue
from txtop.worker.event_writer import EventWriter
from txtop.worker.failures import AbsentError, RejectedError
from txtop.worker.loading.load import configure_environment, load_model
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.phase_timer import PhaseTimer
from txtop.worker.ranks.lockstep import Ranks

if TYPE_CHECKING:
    from txtop.worker.accuracy.answering import TaskAnswerer
    from txtop.worker.fidelity.scores import OutputComparer
    from txtop.worker.tasks.task import ModelInputs

LaterCommand = commands.Compare | commands.Answer | commands.Profile | commands.Explain
_Outcome = events.Fidelity | events.TaskAnswered | events.DeviceTime | events.Explanation


class MeasuredCells:
    """Carries out the commands on measured cells, each with one event that may be a failure."""

    def __init__(self, name: str, emitter: EventWriter, inbox: CommandQueue, ranks: Ranks) -> None:
        self._name = name
        self._ranks = ranks
        self._emitter = emitter
        self._inbox = inbox
        self._comparer: OutputComparer | None = None
        self._answerer: TaskAnswerer | None = None

    def follow(self, command: LaterCommand) -> bool:
        """Carry out `command` and send its event. Return whether the device is lost.

        Raises `Cancelled`.
        """
        sticky = False
        try:
            event = self._carry_out(command)
        except Cancelled:
            raise
        except Exception as error:
            if not isinstance(error, TxtopError):
                traceback.print_exc()
            failure = failures.classify(error)
            if not isinstance(error, RejectedError):
                failure = self._ranks.explain(failure)
            # What is wrong with a task names its next step where it is read.
            whole = isinstance(command, commands.Answer) and isinstance(error, TxtopError)
            event = _build_failed_event(command, str(error) if whole else failure.reason)
            event.may_pass = isinstance(error, AbsentError)
            # A pass has a process of its own, which ends with it.
            sticky = failure.sticky and isinstance(command, commands.Compare | commands.Answer)
            sticky |= self._ranks.are_several
        event.t_ns = perf_counter_ns()
        if isinstance(command, commands.Profile | commands.Explain):
            assert isinstance(event, events.DeviceTime | events.Explanation)
            event.took_s = (event.t_ns - command.started_ns) / 1e9
        self._emitter.send(event)
        return sticky

    def _carry_out(self, command: LaterCommand) -> _Outcome:
        self._ranks.enlist(command)
        if isinstance(command, commands.Compare):
            return self._ready_to_compare().run(command)
        if isinstance(command, commands.Answer):
            return self._ready_to_answer().run(command)
        loaded, inputs = self._load(command)
        if isinstance(command, commands.Profile):
            from txtop.worker.tasks import device_profile

            prefill, decode = device_profile.profile_steps(loaded.task, inputs, self._inbox.check)
            return events.DeviceTime(t_ns=0, cell=command.cell.id, prefill=prefill, decode=decode)
        from txtop.worker.explain.explain import explain_cell

        def announce(step: str) -> None:
            text, cell = events.EXPLAINING + step, command.cell.id
            log = events.Log(t_ns=perf_counter_ns(), text=text, cell=cell, explains=True)
            self._emitter.send(log)

        event, traces = explain_cell(loaded.task, loaded.model, inputs, self._inbox.check, announce)
        for trace in traces:
            trace.t_ns = perf_counter_ns()
            self._emitter.send(trace)
        return event

    def _load(
        self, command: commands.Profile | commands.Explain
    ) -> tuple[LoadedModel, ModelInputs]:
        """Load a cell that was measured before. Nothing of this load is reported."""
        from txtop.worker.tasks.prompt_batches import build_inputs, encode_prompts_of

        load = commands.LoadModel(
            cell=command.cell,
            started_ns=command.started_ns,
            seed=command.seed,
            allowed=command.allowed,
        )
        silent = PhaseTimer(command.started_ns, lambda _: None)
        loaded = load_model(load, silent, self._name, lambda _: None)
        encoded = encode_prompts_of(loaded, command.cell)
        return loaded, build_inputs(loaded, command.cell, encoded)[0]

    def _ready_to_compare(self) -> OutputComparer:
        """Return the comparer, created with all cores: nothing is timed while it runs."""
        if self._comparer is None:
            threads = max(1, cpu.count_allowed_cores() // self._ranks.size)
            configure_environment(threads)
            from txtop.worker.fidelity.scores import OutputComparer

            self._comparer = OutputComparer(threads, self._emitter.send, self._inbox.check)
        return self._comparer

    def _ready_to_answer(self) -> TaskAnswerer:
        """Return the answerer, created with all cores as well."""
        if self._answerer is None:
            threads = max(1, cpu.count_allowed_cores() // self._ranks.size)
            configure_environment(threads)
            from txtop.worker.accuracy.answering import TaskAnswerer

            self._answerer = TaskAnswerer(threads, self._emitter.send, self._inbox.check)
        return self._answerer


def _build_failed_event(command: LaterCommand, reason: str) -> _Outcome:
    cell = command.cell.id
    if isinstance(command, commands.Compare):
        return events.Fidelity(t_ns=0, cell=cell, reference=command.reference.id, failed=reason)
    if isinstance(command, commands.Answer):
        return events.TaskAnswered(t_ns=0, cell=cell, task=command.task.name, failed=reason)
    if isinstance(command, commands.Profile):
        return events.DeviceTime(t_ns=0, cell=cell, failed=reason)
    return events.Explanation(t_ns=0, cell=cell, failed=reason)
