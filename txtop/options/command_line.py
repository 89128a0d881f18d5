"""The command line that asks for the same run: what `asked` reads, written."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from txtop.options import parsing
from txtop.options.run import preset_defaults, usual
from txtop.options.run_options import SECONDS, RunOptions
from txtop.plan.knobs import KNOBS
from txtop.plan.plan import Plan

_NUMBERS = (*(knob.option for knob in KNOBS if knob.is_number), "concurrency")
_REQUEST_OPTIONS = (
    "rate",
    "concurrency",
    "requests",
    "max_batch",
    "max_wait_ms",
    "lengths",
    "slo",
)
_DEFAULT_PLAN = Plan(cells=())


def format_command(asked: RunOptions, session_dir: Path | None = None) -> str:
    """`txtop run …` for a shell, without what is as by default or as the preset says anyway."""
    where = format_option("--session-dir", [str(session_dir)]) if session_dir else ()
    return shlex.join(["txtop", "run", *build_arguments(asked), *where])


def build_arguments(asked: RunOptions) -> list[str]:
    """The options of `run`, one word each. `asked` is one that `asked.plan_of` takes."""
    found: list[str] = []
    for name, value in _iterate_changed_options(asked):
        spelt = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            found.append(spelt)
        elif isinstance(value, list):
            found += format_option(
                spelt, parsing.format_numbers(value) if name in _NUMBERS else value
            )
        else:
            word = format_exact_number(value) if isinstance(value, int | float) else str(value)
            found += format_option(spelt, [word])
    return found


def _iterate_changed_options(asked: RunOptions) -> Iterator[tuple[str, object]]:
    """Name and value of each option that changes the plan."""
    base = preset_defaults(asked)
    positions = base.fidelity_positions
    standard: dict[str, object] = {"preset": None, "scale": "full"}
    for knob in KNOBS:
        values = usual(base, knob)
        standard[knob.option] = (values or None) if knob.several else values[0]
    standard |= {
        "scenario": ["static"],
        **dict.fromkeys(_REQUEST_OPTIONS),
        "iterations": base.iterations,
        "warmup": base.warmup,
        "budget": _DEFAULT_PLAN.budget_s if base.iterations is None else None,
        "timeout": None,
        "seed": _DEFAULT_PLAN.seed,
        "fidelity_positions": _DEFAULT_PLAN.fidelity_positions if positions is None else positions,
        "cost_per_hour": None,
        "allow_pickles": False,
        "trust_remote_code": False,
    }
    for name in standard:
        value = getattr(asked, SECONDS.get(name, name))
        if value is not None and value != standard[name]:
            yield name, value


def format_option(name: str, values: Sequence[str]) -> Iterator[str]:
    """An option with its values, one word each; one that begins like an option is tied to it."""
    for i, value in enumerate(values):
        if value.startswith("-"):
            yield f"{name}={value}"
        else:
            yield from [name, value] if i == 0 else [value]


def format_exact_number(value: float) -> str:
    """The shortest text that is read back as the same number."""
    return msgspec.json.encode(value).decode().removesuffix(".0")
