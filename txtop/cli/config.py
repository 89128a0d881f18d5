"""`txtop config`: this user's settings and the file that holds them."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from txtop.errors import UsageError


def config(
    *,
    path: Annotated[bool, Parameter(help="print where the file lives instead")] = False,
    init: Annotated[bool, Parameter(help="write the file if there is none yet")] = False,
) -> int:
    """Print the settings that hold as a file, with the other keys' defaults as comments."""
    from txtop import settings
    from txtop.sanitise import sanitise

    if path:
        print(settings.get_settings_path())
        return 0
    if init:
        try:
            written = settings.create_settings_file()
        except OSError as error:
            raise UsageError(
                f"cannot write {settings.get_settings_path()} ({error.strerror})",
                "XDG_CONFIG_HOME moves it",
            ) from None
        if written is None:
            raise UsageError(f"{settings.get_settings_path()} is there", "txtop config prints it")
        print(written)
        return 0
    import msgspec

    from txtop.ui.drawing.themes import find_theme_problems, list_themes

    own = settings.load_settings()
    for problem in find_theme_problems(own.theme):
        print(f"txtop: {sanitise(problem)}", file=sys.stderr)
    if own.theme is not None and own.theme not in list_themes():
        print("txtop: the setting theme is left out", file=sys.stderr)
        own = msgspec.structs.replace(own, theme=None)
    print(settings.render_settings(own), end="")
    return 0
