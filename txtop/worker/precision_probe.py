"""The precisions of this machine for `txtop doctor`: those that run, and what the others lack.

Those with one reason share a line. The rules are those by which cells are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from txtop.models import precision_needs, quantised
from txtop.models.attention_kernels import Accelerator
from txtop.models.precision_rules import explain_missing_precision
from txtop.plan.modes import BY_NAME, MODES, Needs
from txtop.protocol.probe_reply import Capability
from txtop.system import libraries
from txtop.worker.loading import int8

_SLOW_ON_CPU = ("fp16",)


@dataclass(frozen=True)
class _Judgement:
    """A name with the reason against it, "" for none; of one that runs `remark` is said."""

    name: str
    reason: str = ""
    step: str = ""
    remark: str = ""


def probe_precisions(device: Accelerator) -> Iterator[Capability]:
    """Yield the precisions that plain weights can have on `device`, those that run first."""
    recipes = int8.list_recipes(device.kind)
    yield from _list_lines("precisions", [_judge_mode(m.name, device, recipes) for m in MODES])


def probe_schemes(device: Accelerator) -> Iterator[Capability]:
    """Yield the ways of storing a quantised checkpoint that load on `device`."""
    judged = []
    for name, method in quantised.METHODS.items():
        remark = "dequantised at load" if method.widens else ""
        judged.append(_judge_needs(name, method.needs, device, remark))
    yield from _list_lines("stored checkpoints", judged, "stored as ")


def _judge_mode(name: str, device: Accelerator, recipes: Iterable[str]) -> _Judgement:
    mode = BY_NAME[name]
    if mode.stored_only:
        reason = f"how checkpoints are stored ({mode.stored_only}), not made from plain weights"
        return _Judgement(name, f"impossible: {reason}")
    plain = explain_missing_precision(name, device, compiled=False)
    compiled = explain_missing_precision(name, device, compiled=True)
    if compiled:
        return _Judgement(name, f"impossible here: {compiled[0].removeprefix(f'{name} ')}")
    if name == int8.PREFIX and not recipes:
        return _Judgement(name, "needs torchao", BY_NAME["int8:dynamic"].needs.install)
    remark = "with --compile" if plain else ""
    if device.kind == "cpu" and name in _SLOW_ON_CPU:
        remark = "slow on a CPU"
    return _judge_needs(name, mode.needs, device, remark)


def _judge_needs(name: str, needs: Needs, device: Accelerator, remark: str) -> _Judgement:
    if reason := precision_needs.explain_device(needs, device):
        return _Judgement(name, f"impossible here: {reason}")
    if lacking := [library for library in needs.libraries if not libraries.find_version(library)]:
        return _Judgement(name, f"needs {' and '.join(lacking)}", needs.install)
    return _Judgement(name, remark=remark)


def _list_lines(title: str, judged: Iterable[_Judgement], before: str = "") -> Iterator[Capability]:
    """Yield a line `title` of those that run, and one for every reason against others.

    The names of the others have `before` in front.
    """
    able: list[str] = []
    refused: dict[tuple[str, str], list[str]] = {}
    for one in judged:
        if one.reason:
            refused.setdefault((one.reason, one.step), []).append(one.name)
        else:
            able.append(f"{one.name} ({one.remark})" if one.remark else one.name)
    if able:
        yield Capability(title, "ok", ", ".join(able))
    for (reason, step), names in refused.items():
        yield Capability(before + ", ".join(names), "missing", reason, step)


def list_versions() -> Mapping[str, str]:
    """Return the versions of the libraries that quantise, as far as they are installed."""
    versions = {name: libraries.find_version(name) for name in libraries.QUANTISERS}
    return {name: number for name, number in versions.items() if number}
