"""The options of serving as typed: `--scenario`, `--rate`, `--lengths`, `--slo` and others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.options import limits
from txtop.options.parsing import describe_read_error
from txtop.options.run_options import ServingOptions
from txtop.plan.matrix import TrafficPattern
from txtop.plan.serving import MAX_MS, MAX_NUMBER, MAX_PAIRS, Scenario, Serving, Slo
from txtop.quantities import parse_duration

# Of the measured capacity: the queue grows near 1.0 and without end above it.
SWEEP_SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.2)
LENGTH_KINDS = ("fixed", "uniform", "lognormal")
REQUEST_OPTIONS = ("rate", "concurrency", "requests", "max_batch", "max_wait_ms", "lengths", "slo")
_HINTS = get_type_hints(Serving, include_extras=True)
_NUMBERS = ("requests", "max_batch", "max_wait_ms")


def expand_traffic(options: ServingOptions) -> list[TrafficPattern]:
    """Return every scenario with every load; full batches if no scenario was given.

    `--rate sweep` becomes a closed-loop load that measures the server's capacity, then open loads
    at shares of it. Raises `UsageError`.
    """
    scenarios: list[Scenario] = list(dict.fromkeys(options.scenario or [])) or ["static"]
    if all(name == "static" for name in scenarios):
        for name in REQUEST_OPTIONS:
            if getattr(options, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} is for requests, and static measures full batches",
                    "--scenario single, dynamic or continuous",
                )
    loads: list[TrafficPattern] = []
    for scenario in scenarios:
        if scenario == "static":
            loads.append((scenario, None))
        else:
            loads += [(scenario, serving) for serving in _expand_servings(scenario, options)]
    return loads


def _expand_servings(scenario: Scenario, options: ServingOptions) -> Iterator[Serving]:
    base = _build_base(options)
    slots = 1 if scenario == "single" else base.max_batch
    if scenario == "single":
        base = msgspec.structs.replace(base, max_batch=1, max_wait_ms=0.0)
    full = msgspec.structs.replace(base, concurrency=slots)
    if options.rate is None and options.concurrency is None:
        yield full
    for clients in options.concurrency or ():
        yield msgspec.structs.replace(base, concurrency=clients)
    for rate in options.rate or ():
        if rate == "sweep":
            yield full
            yield from (msgspec.structs.replace(base, share=share) for share in SWEEP_SHARES)
        else:
            yield msgspec.structs.replace(base, rate=_parse_rate(rate))


def _build_base(options: ServingOptions) -> Serving:
    given: dict[str, object] = {
        name: value for name in _NUMBERS if (value := getattr(options, name)) is not None
    }
    for name, value in given.items():
        _check_bounds(name, value)
    if options.lengths is not None:
        given |= _parse_lengths(options.lengths)
    if options.slo is not None:
        given["slo"] = parse_slo(options.slo)
    return msgspec.convert(given, Serving)


def _check_bounds(name: str, value: Any) -> None:
    """Raise `UsageError` for a number out of the bounds of its field of `Serving`."""
    bounds = next(m for m in get_args(_HINTS[name]) if isinstance(m, msgspec.Meta))
    least, most = bounds.ge, bounds.le
    if least is None or most is None or least <= value <= most:
        return
    option = f"--{name.replace('_', '-')} {limits.format_plain(value)}"
    reach = f"between {limits.format_plain(least)} and {limits.format_plain(most)}"
    raise UsageError(f"{option} is not {reach}")


def _parse_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1e6:
        raise UsageError(
            f"--rate {text[:40]!a} is not a number of requests per second",
            did_you_mean(text, ["sweep"], "a number above 0, or sweep"),
        )
    return rate


def _parse_lengths(text: str) -> dict[str, object]:
    if text in LENGTH_KINDS:
        return {"lengths": text}
    path = Path(text)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):
        is_file = False
    if not is_file:
        raise UsageError(
            f"--lengths {text[:80]!a} is neither a distribution nor a file",
            did_you_mean(
                text,
                list(LENGTH_KINDS),
                f"{', '.join(LENGTH_KINDS)}, or a file of lines prompt,new",
            ),
        )
    return {"lengths": "pairs", "pairs": _read_pairs(path)}


def _read_pairs(path: Path) -> list[tuple[int, int]]:
    """Read a file of `prompt,new` lines; a first line without digits is a heading."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        cause = describe_read_error(error)
        raise UsageError(f"--lengths {path}: {cause}", "a text file of lines prompt,new") from None
    pairs: list[tuple[int, int]] = []
    for number, line in enumerate(lines, start=1):
        parts = [part.strip() for part in line.split(",")]
        if not line.strip() or (number == 1 and not any(map(str.isdigit, line))):
            continue
        if len(parts) != 2 or not all(map(_is_length, parts)):
            raise UsageError(
                f"--lengths {path}, line {number}: {line[:40]!a} is not prompt,new",
                "two whole numbers above 0, as 128,32",
            )
        pairs.append((int(parts[0]), int(parts[1])))
    if not 0 < len(pairs) <= MAX_PAIRS:
        raise UsageError(f"--lengths {path} has {len(pairs)} pairs", f"1 to {MAX_PAIRS}")
    return pairs


def _is_length(text: str) -> bool:
    return text.isdecimal() and len(text) <= 7 and 0 < int(text) <= MAX_NUMBER


def parse_slo(text: str) -> Slo:
    """Parse `ttft=200ms,tpot=50ms,e2e=2s`. Raises `UsageError`."""
    bounds: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = map(str.strip, part.partition("="))
        ms = parse_duration(value, "ms", bare=False) or 0.0
        if name not in ("ttft", "tpot", "e2e"):
            raise UsageError(
                f"--slo {part[:40]!a} names no latency",
                did_you_mean(name, ["ttft", "tpot", "e2e"], "ttft, tpot, e2e: ttft=200ms"),
            )
        if not 0 < ms <= MAX_MS:
            raise UsageError(f"--slo {part[:40]!a} has no duration", "as ttft=200ms or e2e=2s")
        if f"{name}_ms" in bounds:
            raise UsageError(f"--slo names {name} twice", "give one bound for each")
        bounds[f"{name}_ms"] = ms
    return Slo(**bounds)
