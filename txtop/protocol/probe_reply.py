"""The reply to `--probe`: what the worker or the sampler can do on this machine.

Both commands print a JSON object a line, each as soon as it is known; `txtop doctor` and the home
screen read them.
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


_decoder = msgspec.json.Decoder(Capability)


def build_probe_command(module: str) -> list[str]:
    """Build the command line that probes by `module`, `txtop.worker` or `txtop.sampler`."""
    return build_module_command(module, "--probe")


def encode_capability(entry: Capability) -> bytes:
    """Return one capability as a line with its newline."""
    return msgspec.json.encode(entry) + b"\n"


def decode_capability(line: bytes) -> Capability:
    """Decode one line of a probe.

    Raises:
        ValueError: `line` is no capability.
    """
    return _decoder.decode(line)


def decode_probe_reply(output: bytes) -> list[Capability]:
    """Decode everything that a probe printed.

    Raises:
        ValueError: `output` is not such a reply, or empty.
    """
    entries = _decoder.decode_lines(output)
    if not entries:
        raise ValueError("the probe printed nothing")
    return entries
