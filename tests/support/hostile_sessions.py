"""Sessions whose every text carries terminal escapes."""

from __future__ import annotations

from support import streams
from txtop.protocol import events
from txtop.protocol.events import AnyEvent

ESCAPES = (
    "[/][@click=app.quit]x \x1b[31m \x1b]52;c;QQ==\x07 \x1b]8;;http://x\x1b\\ \x1bPq\x1b\\"
    " \x9b1m \x9d0;x\x9c \u202eevil\u202c \u200b\u2066\ufeff"
)


def spoil_texts(made: list[AnyEvent]) -> None:
    """Put escapes wherever a text may stand, except in the cells' ids."""
    for event in made:
        for name in event.__struct_fields__:
            value = getattr(event, name)
            if isinstance(value, str) and name not in ("cell", "src", "role", "reason"):
                # What has a form of its own is no text.
                if name not in (
                    *("family", "weights", "page_cache", "status", "action", "level", "place"),
                ):
                    setattr(event, name, ESCAPES)
            elif isinstance(value, dict):
                setattr(event, name, dict.fromkeys([ESCAPES], next(iter(value.values()), ESCAPES)))
            elif isinstance(value, list) and name in ("notes", "stderr"):
                setattr(event, name, [ESCAPES])
        if isinstance(event, events.CellFinished) and event.cell == "c001":
            event.status, event.reason = "failed", ESCAPES
    at = made[-1].t_ns
    made[-1:-1] = [
        events.Log(t_ns=at, text=ESCAPES),
        events.Gap(t_ns=at, producer=ESCAPES, reason=ESCAPES),
        events.Control(t_ns=at, who=ESCAPES, action="marker", label=ESCAPES),
    ]
    assert isinstance(made[0], events.SessionHeader)
    made[0].name = ESCAPES
    made[0].machine = events.Machine(
        **{f: getattr(streams.MACHINE, f) for f in streams.MACHINE.__struct_fields__}
        | {"cpu": ESCAPES, "hostname": ESCAPES}
    )


def spoil_models(made: list[AnyEvent]) -> None:
    # Names of models are the last part of a path.
    made[:] = streams.stream(streams.plan((ESCAPES.replace("/", "|"), "gpt2")))
