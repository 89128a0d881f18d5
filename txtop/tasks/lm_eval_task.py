"""Read a task file of lm-evaluation-harness through that library, where it is installed.

The library builds each prompt, few-shot examples included, from its own file and its data set; the
items are then answered as those of any task.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import msgspec

from txtop.errors import UsageError
from txtop.tasks.items import ChoiceItem, Item, MatchItem

ENDINGS = (".yaml", ".yml")
DEFAULT_TOKENS = 256
"""New tokens where a task does not say, as in the library."""


def is_lm_eval_file(path: str) -> bool:
    """Return True for the name of a task file of lm-evaluation-harness."""
    return path.endswith(ENDINGS)


def read_lm_eval_task(path: Path) -> list[Item]:
    """Return the items of a task file: multiple choice and generation are read.

    Raises `UsageError` for anything else, and where the library is not installed.
    """
    where = f"--task {path}"
    if importlib.util.find_spec("lm_eval") is None:
        raise UsageError(
            f"{where}: lm-evaluation-harness is not installed", "pip install txtop[tasks]"
        )
    if not path.is_file():
        raise UsageError(f"{where}: no such file or directory", "a .yaml file of lm-eval")
    try:
        tasks = _load_tasks(path)
    except Exception as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise UsageError(
            f"{where}: lm-eval cannot load it: {cause}", "try it with lm_eval"
        ) from None
    items: list[Item] = []
    for task in tasks:
        kind = str(task.OUTPUT_TYPE)
        if kind not in ("multiple_choice", "generate_until"):
            raise UsageError(f"{where}: {kind} is not read", "multiple_choice or generate_until")
        for number, doc in enumerate(task.eval_docs, start=1):
            prompt = task.fewshot_context(doc, int(task.config.num_fewshot or 0))
            if not isinstance(prompt, str):
                raise UsageError(f"{where}: prompts that are no plain text are not read")
            make = _make_choice if kind == "multiple_choice" else _make_match
            items.append(make(task, doc, prompt, number))
    return items


def _load_tasks(path: Path) -> list[Any]:
    from lm_eval.tasks import TaskManager

    return list(TaskManager().load(str(path))["tasks"].values())


def _make_choice(task: Any, doc: Any, prompt: str, number: int) -> ChoiceItem:
    choices = [str(choice) for choice in task.doc_to_choice(doc)]
    target = task.doc_to_target(doc)
    place = target if isinstance(target, int) else choices.index(str(target))
    space = str(task.config.target_delimiter)
    item = {"question": prompt, "choices": choices, "answer": place, "space": space}
    return msgspec.convert({**item, "line": number}, ChoiceItem)


def _make_match(task: Any, doc: Any, prompt: str, number: int) -> MatchItem:
    target = task.doc_to_target(doc)
    answers = [str(one) for one in target] if isinstance(target, list) else [str(target)]
    settings = dict(task.config.generation_kwargs or {})
    until = settings.get("until") or ["\n\n"]
    until = [until] if isinstance(until, str) else list(until)
    most = settings.get("max_gen_toks") or DEFAULT_TOKENS
    item = {"prompt": prompt, "answer": answers, "until": until, "max_tokens": int(most)}
    return msgspec.convert({**item, "line": number}, MatchItem)
