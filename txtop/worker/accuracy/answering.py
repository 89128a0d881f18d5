"""Answer the items of a task with a cell's model, for the command `answer`."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from time import perf_counter_ns
from typing import Any, cast

import torch

from txtop.plan.cell import Cell
from txtop.plan.task import KIND_NOUNS, TASK_FAMILIES, TaskSpec
from txtop.protocol import commands, events
from txtop.sanitise import sanitise
from txtop.tasks import task_file
from txtop.tasks.items import ChoiceItem, FillItem, Item, LabelItem, MatchItem, PairItem, QueryItem
from txtop.tasks.task_file import TaskItems
from txtop.worker import memory
from txtop.worker.accuracy import encoding, generation, likelihood
from txtop.worker.accuracy.answer import GivenAnswer
from txtop.worker.failures import RejectedError
from txtop.worker.loading.load import read_model
from txtop.worker.loading.loaded_model import LoadedModel
from txtop.worker.loading.source import resolve_model
from txtop.worker.loading.tokenizer import load_tokenizer

SendEvent = Callable[[events.AnyEvent], None]
_SEND_INTERVAL_NS = 250_000_000
_MAX_ANSWERS = 500
"""The answers of one event at most, so that its line stays below 1 MiB."""
_MAX_CHARACTERS = 200
_SAMPLE = "a tree"


class TaskAnswerer:
    """Answers tasks; the model is kept for the next task of the same cell."""

    def __init__(self, threads: int, send: SendEvent, check: Callable[[], None]) -> None:
        self._threads, self._send, self._check = threads, send, check
        self._loaded: tuple[object, LoadedModel] | None = None

    def run(self, command: commands.Answer) -> events.TaskAnswered:
        """Answer all items and return the event that ends them.

        Raises `RejectedError` if model and task do not fit, and whatever loading and running
        raises.
        """
        task, cell = command.task, command.cell
        began_ns = perf_counter_ns()
        read = task_file.read_task(task.path)
        where = sanitise(task.path, 200)
        if read.sha256 != task.sha256:
            raise RejectedError(f"{where} is not the file of the plan any more", "start a new run")
        items = task_file.order_items(read.items, command.seed)
        if command.tells_items:
            self._tell_items(task, items)
        loaded = self._load(command)
        self._check_fit(task, loaded)
        answers = _iterate_answers(loaded, cell, read, items, where, self._check)
        self._send_answers(command, answers)
        return events.TaskAnswered(
            t_ns=perf_counter_ns(),
            cell=cell.id,
            task=task.name,
            took_s=(perf_counter_ns() - began_ns) / 1e9,
        )

    def _load(self, command: commands.Answer) -> LoadedModel:
        key = (command.cell, command.seed, command.allowed)
        if self._loaded is not None and self._loaded[0] == key:
            return self._loaded[1]
        self._loaded = None
        gc.collect()
        memory.release_memory(torch.device("cpu"))

        def log(text: str) -> None:
            self._send(events.Log(t_ns=perf_counter_ns(), text=text))

        cell = command.cell
        source = resolve_model(cell.model, cell.weights, command.allowed, log, lambda *_: None)
        loaded = read_model(cell, source, command.seed, self._threads, lambda _: None)
        self._check()
        self._loaded = key, loaded
        return loaded

    def _check_fit(self, task: TaskSpec, loaded: LoadedModel) -> None:
        noun = KIND_NOUNS[task.kind]
        if loaded.source.weights == "random":
            raise RejectedError("random weights answer by chance", "trained ones: --weights auto")
        family = TASK_FAMILIES[task.kind]
        if loaded.family != family:
            kind = "a decoder" if family == "causal" else "an encoder"
            raise RejectedError(f"{noun} needs {kind}", "name one, or leave this task out")

    def _tell_items(self, task: TaskSpec, items: list[Item]) -> None:
        for first in range(0, len(items), _MAX_ANSWERS):
            part = items[first : first + _MAX_ANSWERS]
            self._send(
                events.TaskQuestions(
                    t_ns=perf_counter_ns(),
                    task=task.name,
                    first=first,
                    lines=[item.line for item in part],
                    asked=[sanitise(item.asked, _MAX_CHARACTERS) for item in part],
                    right=[sanitise(item.right, _MAX_CHARACTERS) for item in part],
                    targets=[item.score for item in part if isinstance(item, PairItem)],
                    chances=[
                        1 / len(item.choices) for item in part if isinstance(item, ChoiceItem)
                    ],
                )
            )

    def _send_answers(self, command: commands.Answer, answers: Iterator[GivenAnswer]) -> None:
        first = 0
        waiting: list[GivenAnswer] = []
        sent_ns = perf_counter_ns()

        def send() -> None:
            nonlocal first, sent_ns
            self._send(
                events.TaskAnswers(
                    t_ns=perf_counter_ns(),
                    cell=command.cell.id,
                    task=command.task.name,
                    first=first,
                    scores=[answer.score for answer in waiting],
                    answers=[sanitise(answer.text, _MAX_CHARACTERS) for answer in waiting],
                )
            )
            first += len(waiting)
            waiting.clear()
            sent_ns = perf_counter_ns()

        for answer in answers:
            self._check()
            waiting.append(answer)
            late = perf_counter_ns() - sent_ns > _SEND_INTERVAL_NS
            if late or len(waiting) == _MAX_ANSWERS:
                send()
        if waiting:
            send()


def _iterate_answers(
    loaded: LoadedModel,
    cell: Cell,
    read: TaskItems,
    items: list[Item],
    where: str,
    check: Callable[[], None],
) -> Iterator[GivenAnswer]:
    tokenizer: Any = _require_tokenizer(loaded)
    encoder = encoding.TextEncoder(loaded, tokenizer, cell, where, check)
    match read.kind:
        case "choice":
            own = cast(list[ChoiceItem], items)
            return likelihood.answer_choices(loaded, tokenizer, cell, own, where)
        case "match":
            prompts = cast(list[MatchItem], items)
            return generation.answer_matches(loaded, tokenizer, cell, prompts, where, check)
        case "pairs":
            return encoding.answer_pairs(encoder, cast(list[PairItem], items))
        case "retrieval":
            queries = cast(list[QueryItem], items)
            return encoding.answer_queries(encoder, queries, read.documents)
        case "label":
            return encoding.answer_labels(encoder, cast(list[LabelItem], items))
        case "fill":
            return encoding.answer_masks(encoder, cast(list[FillItem], items))


def _require_tokenizer(loaded: LoadedModel) -> Any:
    why = "there is none"
    try:
        tokenizer = load_tokenizer(loaded.source)
        # For a directory without tokenizer files the library makes an empty tokenizer.
        if tokenizer.encode(_SAMPLE, add_special_tokens=False):
            return tokenizer
    except Exception as error:
        why = sanitise(str(error).strip() or type(error).__name__, 100)
    raise RejectedError(f"a task needs the model's tokenizer: {why}", "put its files beside it")
