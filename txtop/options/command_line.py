"""The command line that asks for the same run: what `asked` reads, written."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from txtop.options import parsing
from txtop.options.run import Asked, base_of
from txtop.plan.plan import Plan

_LISTS = ("models", "precisions", "attention", "batch_sizes", "sequence_lengths", "new_tokens")
_NUMBERS = ("batch_sizes", "sequence_lengths", "new_tokens", "threads", "concurrency")
_OF_REQUESTS = (
    "rate",
    "concurrency",
    "requests",
    "max_batch",
    "max_wait_ms",
    "lengths",
    "slo",
)
_USUAL = Plan(cells=())


def command_line(asked: Asked, session_dir: Path | None = None) -> str:
    """`txtop run …` for a shell, without what is as by default or as the preset says anyway."""
    where = option("--session-dir", [str(session_dir)]) if session_dir else ()
    return shlex.join(["txtop", "run", *words(asked), *where])


def words(asked: Asked) -> list[str]:
    """The options of `run`, one word each. `asked` is one that `asked.plan_of` takes."""
    found: list[str] = []
    for name, value in _given(asked):
        spelt = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            found.append(spelt)
        elif isinstance(value, list):
            found += option(spelt, parsing.spelt(value) if name in _NUMBERS else value)
        else:
            word = number(value) if isinstance(value, int | float) else str(value)
            found += option(spelt, [word])
    return found


def _given(asked: Asked) -> Iterator[tuple[str, object]]:
    """Name and value of each option that changes the plan."""
    base = base_of(asked)
    usual: dict[str, object] = {name: list(getattr(base, name)) for name in _LISTS}
    positions = base.fidelity_positions
    usual |= {
        "preset": None,
        "scale": "full",
        "device": base.device,
        "threads": None,
        "compile": ["none"],
        "cache": ["dynamic"],
        "scenario": ["static"],
        **dict.fromkeys(_OF_REQUESTS),
        "iterations": base.iterations,
        "warmup": base.warmup,
        "budget": _USUAL.budget_s if base.iterations is None else None,
        "timeout": None,
        "weights": "auto",
        "seed": _USUAL.seed,
        "fidelity_positions": _USUAL.fidelity_positions if positions is None else positions,
        "cost_per_hour": None,
        "allow_pickles": False,
        "trust_remote_code": False,
    }
    first = ("preset", "scale")
    for name in (*first, *(name for name in usual if name not in first)):
        value = getattr(asked, {"budget": "budget_s", "timeout": "timeout_s"}.get(name, name))
        if value is not None and value != usual[name]:
            yield name, value


def option(name: str, values: Sequence[str]) -> Iterator[str]:
    """An option with its values, one word each; one that begins like an option is tied to it."""
    for i, value in enumerate(values):
        if value.startswith("-"):
            yield f"{name}={value}"
        else:
            yield from [name, value] if i == 0 else [value]


def number(value: float) -> str:
    """The shortest text that is read back as the same number."""
    return msgspec.json.encode(value).decode().removesuffix(".0")
