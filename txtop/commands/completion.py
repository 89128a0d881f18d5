"""`txtop completion`: what makes a shell complete txtop's commands, options and their values."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter


def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="which one it is for")], /
) -> int:
    """Print a script that completes commands and options; README says where shells look for it."""
    from txtop.cli import app

    print(app.generate_completion(prog_name="txtop", shell=shell), end="")
    return 0
