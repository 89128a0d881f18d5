"""What a command line says of serving: `--scenario`, `--rate`, `--lengths`, `--slo` and others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from txtop.errors import UsageError, did_you_mean
from txtop.options.run_options import ServingOptions as Wishes
from txtop.plan.matrix import TrafficPattern
from txtop.plan.serving import MAX_MS, MAX_PAIRS, Scenario, Serving, Slo

SWEEP_SHARES = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.2)
LENGTH_KINDS = ("fixed", "uniform", "lognormal")
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s)")
_REQUEST_OPTIONS = ("rate", "concurrency", "requests", "max_batch", "max_wait_ms", "lengths", "slo")
_PLACE = re.compile(r" - at `\$\.(\w+)`$")


def expand_traffic(asked: Wishes) -> list[TrafficPattern]:
    """Every scenario with every load that was asked for; whole batches where nothing was.

    `--rate sweep` is first the clients that find out how much the server can do, then shares of
    it. Raises `UsageError`.
    """
    scenarios: list[Scenario] = list(dict.fromkeys(asked.scenario or [])) or ["static"]
    if all(name == "static" for name in scenarios):
        for name in _REQUEST_OPTIONS:
            if getattr(asked, name) is not None:
                raise UsageError(
                    f"--{name.replace('_', '-')} is for requests, and static measures full batches",
                    "--scenario single, dynamic or continuous",
                )
    found: list[TrafficPattern] = []
    for scenario in scenarios:
        if scenario == "static":
            found.append((scenario, None))
        else:
            found += [(scenario, each) for each in _expand_servings(scenario, asked)]
    return found


def _expand_servings(scenario: Scenario, asked: Wishes) -> Iterator[Serving]:
    base = _build_base(asked)
    slots = 1 if scenario == "single" else base.max_batch
    if scenario == "single":
        base = msgspec.structs.replace(base, max_batch=1, max_wait_ms=0.0)
    everyone = msgspec.structs.replace(base, concurrency=slots)
    if asked.rate is None and asked.concurrency is None:
        yield everyone
    for clients in asked.concurrency or ():
        yield msgspec.structs.replace(base, concurrency=clients)
    for word in asked.rate or ():
        if word == "sweep":
            yield everyone
            yield from (msgspec.structs.replace(base, share=share) for share in SWEEP_SHARES)
        else:
            yield msgspec.structs.replace(base, rate=_parse_rate(word))


def _build_base(asked: Wishes) -> Serving:
    given = {
        name: value
        for name in ("requests", "max_batch", "max_wait_ms")
        if (value := getattr(asked, name)) is not None
    }
    if asked.lengths is not None:
        given |= _parse_lengths(asked.lengths)
    if asked.slo is not None:
        given["slo"] = parse_slo(asked.slo)
    try:
        return msgspec.convert(given, Serving)
    except msgspec.ValidationError as error:
        place = _PLACE.search(str(error))
        option = place[1].replace("_", "-") if place else "scenario"
        raise UsageError(f"--{option}: {_PLACE.sub('', str(error))}") from None


def _parse_rate(word: str) -> float:
    try:
        rate = float(word)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 1e6:
        raise UsageError(
            f"--rate {word[:40]!a} is no number of requests a second",
            did_you_mean(word, ["sweep"], "a number above 0, or sweep"),
        )
    return rate


def _parse_lengths(word: str) -> dict[str, object]:
    if word in LENGTH_KINDS:
        return {"lengths": word}
    path = Path(word)
    try:
        there = path.is_file()
    except (OSError, ValueError):
        there = False
    if not there:
        raise UsageError(
            f"--lengths {word[:80]!a} is no distribution and no file",
            did_you_mean(
                word,
                list(LENGTH_KINDS),
                f"{', '.join(LENGTH_KINDS)}, or a file of prompt,new a line",
            ),
        )
    return {"lengths": "pairs", "pairs": _read_pairs(path)}


def _read_pairs(path: Path) -> list[tuple[int, int]]:
    """`prompt,new` a line; a first line without numbers is a heading."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UsageError(f"--lengths {path}: {error}") from None
    found: list[tuple[int, int]] = []
    for number, line in enumerate(lines, start=1):
        parts = [part.strip() for part in line.split(",")]
        if not line.strip() or (number == 1 and not any(map(str.isdigit, line))):
            continue
        if len(parts) != 2 or not all(map(_is_length, parts)):
            raise UsageError(
                f"--lengths {path}, line {number}: {line[:40]!a} is not prompt,new",
                "two whole numbers above 0, as 128,32",
            )
        found.append((int(parts[0]), int(parts[1])))
    if not 0 < len(found) <= MAX_PAIRS:
        raise UsageError(f"--lengths {path} has {len(found)} pairs", f"1 to {MAX_PAIRS}")
    return found


def _is_length(word: str) -> bool:
    return word.isdecimal() and len(word) <= 7 and 0 < int(word) <= 1_000_000


def parse_slo(text: str) -> Slo:
    """`ttft=200ms,tpot=50ms,e2e=2s`. Raises `UsageError`."""
    bounds: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = map(str.strip, part.partition("="))
        match = _DURATION.fullmatch(value)
        if name not in ("ttft", "tpot", "e2e"):
            raise UsageError(
                f"--slo {part[:40]!a} names no latency",
                did_you_mean(name, ["ttft", "tpot", "e2e"], "ttft, tpot, e2e: ttft=200ms"),
            )
        ms = float(match[1]) * (1000 if match[2] == "s" else 1) if match else 0.0
        if not 0 < ms <= MAX_MS:
            raise UsageError(f"--slo {part[:40]!a} has no duration", "as ttft=200ms or e2e=2s")
        if f"{name}_ms" in bounds:
            raise UsageError(f"--slo names {name} twice", "give one bound for each")
        bounds[f"{name}_ms"] = ms
    return Slo(**bounds)
