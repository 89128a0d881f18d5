"""The reply to `--probe`: what the worker or the sampler can do on this machine.

Both commands print it as one JSON object; `txtop doctor` and the home screen read it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from txtop.system.search_path import build_module_command


class Capability(msgspec.Struct, frozen=True):
    """One capability: `detail` says how it works or why not, `next` is a step to take, if any."""

    capability: str
    state: Literal["ok", "missing", "broken"]
    detail: str
    next: str = ""


class ProbeReply(msgspec.Struct, frozen=True):
    """Everything that one command probed."""

    capabilities: list[Capability]


def build_probe_command(module: str) -> list[str]:
    """Build the command line that probes by `module`, `txtop.worker` or `txtop.sampler`."""
    return build_module_command(module, "--probe")


def decode_probe_reply(output: bytes) -> list[Capability]:
    """Decode what a probe printed.

    Raises:
        ValueError: `output` is not such a reply.
    """
    return msgspec.json.decode(output, type=ProbeReply).capabilities
