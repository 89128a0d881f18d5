"""The base of all events, and the bounded types of their fields."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Ns = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Real = Annotated[float, Meta(ge=-1e30, le=1e30)]
WallS = Annotated[float, Meta(ge=0, le=2**36)]
Text = Annotated[str, Meta(max_length=20_000)]
Name = Annotated[str, Meta(max_length=4_000)]
Role = Literal["first", "warmup", "measured"]


class Event(msgspec.Struct, kw_only=True, tag_field="kind", omit_defaults=True):
    """The fields of every event: its number in the log, its producer, and the producer's clock."""

    seq: Natural = 0
    src: Name = "runner"
    t_ns: Ns
