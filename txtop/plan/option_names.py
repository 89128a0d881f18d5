"""The options that refusals and notes name, as the command that ran spells them.

`run` takes lists (`--precisions`), the commands of one cell take one value (`--precision`). Texts
are written with the options of `run`, and pass through here where they leave for a person.
"""

from __future__ import annotations

import re

from txtop.plan.knobs import KNOBS
from txtop.plan.plan import Plan

ONE_VALUE_COMMANDS = ("ab", "explain", "fit", "tune")
# The model is an argument of these commands, and no option.
_SINGLE = {
    knob.flag: f"--{knob.single}"
    for knob in KNOBS
    if knob.field != "model" and knob.flag != f"--{knob.single}"
}
_LISTS = re.compile(rf"(?<![\w-])({'|'.join(_SINGLE)})(?![\w-])")


def spell_options(text: str, *, lists: bool) -> str:
    """Return `text` with its options as a command spells them that takes `lists`, or one value."""
    return text if lists else _LISTS.sub(lambda match: _SINGLE[match[1]], text)


def takes_lists(plan: Plan) -> bool:
    """Return whether `plan` is one of `run`, whose options take lists."""
    searches = plan.edge_search is not None or plan.tuning is not None
    return plan.margin is None and not plan.explain and not searches
