"""The options of tasks as typed: `--task`, `--accuracy-margin`, and amounts in points."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from txtop.errors import UsageError
from txtop.models.model_config import find_family
from txtop.plan.task import BUILT_IN, KIND_NOUNS, MAX_TASKS, TASK_FAMILIES, TaskSpec
from txtop.tasks.task_file import describe_task, list_built_in

MOST_LOSS = 0.5
"""The largest loss that a gate may allow, as a share of 1."""
_POINTS = re.compile(r"([-−+]?)([0-9]{1,3}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})\s*(pt|%|)")


def parse_points(option: str, text: str) -> float:
    """Return `1pt`, `-0.5pt` or `0.01` as a share of 1 within ±1. Raises `UsageError`."""
    match = _POINTS.fullmatch(text.strip())
    share = float(match[2]) / (100 if match[3] else 1) if match else 2.0
    if share > 1:
        raise UsageError(f"{option}: {text[:40]!a} is not a number of points", "write 1pt or 0.01")
    return -share if match and match[1] in ("-", "−") else share


def parse_margin(option: str, text: str) -> float:
    """Return a margin above 0 as a share of 1. Raises `UsageError`."""
    share = parse_points(option, text)
    if share <= 0:
        raise UsageError(f"{option}: {text[:40]!a} is not above 0", "write 1pt or 0.01")
    if share > MOST_LOSS:
        raise UsageError(f"{option}: {text[:40]!a} allows every loss", "as 1pt, or 0.01")
    return share


def require_answerable(tasks: Iterable[TaskSpec], models: Iterable[str]) -> None:
    """Raise `UsageError` for a task that none of `models` can answer, as far as they are known."""
    families = {find_family(model) for model in models}
    for task in tasks:
        family = TASK_FAMILIES[task.kind]
        if not families & {family, None}:
            kind = "a decoder" if family == "causal" else "an encoder"
            cause = f"--task {task.name}: {KIND_NOUNS[task.kind]} needs {kind}"
            raise UsageError(cause, "name one, or leave this task out")


def parse_allowed_loss(option: str, text: str) -> float:
    """Return the difference in a task that is allowed, as a share of 1 from -0.5 to 0.

    Raises `UsageError` for a gain, and for a loss that no gate would ever see.
    """
    share = parse_points(option, text)
    if share > 0:
        raise UsageError(f"{option}: {text[:40]!a} asks for a gain", "a loss has a minus, as -1pt")
    if share < -MOST_LOSS:
        raise UsageError(f"{option}: {text[:40]!a} allows every loss", "as -1pt, or -0.01")
    return share


def build_tasks(names: Iterable[str]) -> tuple[TaskSpec, ...]:
    """Read and check the tasks that `--task` names: files, directories, built-in names.

    Raises `UsageError` for one that cannot be read, and its line.
    """
    paths = list(dict.fromkeys(path for name in names for path in _iterate_paths(name)))
    if len(paths) > MAX_TASKS:
        raise UsageError(f"--task names {len(paths)} files", f"at most {MAX_TASKS}")
    stems = [_get_stem(path) for path in paths]
    return tuple(
        describe_task(path, stem if stems.count(stem) == 1 else path[-200:])
        for path, stem in zip(paths, stems, strict=True)
    )


def _iterate_paths(name: str) -> Iterator[str]:
    if not name:
        raise UsageError("--task is empty", f"a .jsonl file, or {', '.join(list_built_in())}")
    if name.removeprefix(BUILT_IN) in list_built_in() and not Path(name).is_file():
        yield BUILT_IN + name.removeprefix(BUILT_IN)
        return
    path = Path(name).expanduser()
    try:
        if not path.is_dir():
            yield str(path.absolute())
            return
        files = sorted(path.glob("*.jsonl"))
    except (OSError, ValueError, RuntimeError):
        raise UsageError(f"--task {name[:200]!a} is not a path") from None
    if not files:
        raise UsageError(
            f"--task {name[:200]}: no .jsonl file in it", "docs/tasks.md has the format"
        )
    yield from (str(file.absolute()) for file in files)


def _get_stem(path: str) -> str:
    return path.removeprefix(BUILT_IN) if path.startswith(BUILT_IN) else Path(path).stem[:200]
