"""`txtop completion`: what makes a shell complete txtop's commands, options and their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from cyclopts import App, Parameter

# A file of `fpath` is the body of the function that it is named after, and does nothing unless it
# calls the one that it defines; sourced, it has to say what that one completes.
_ZSH = """\
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _cyclopts_txtop "$@"
else
  compdef _cyclopts_txtop txtop
fi"""


def build_completion(app: App) -> Callable[..., int]:
    """Build the command `completion` of `app`; an argument, since `app` imports the commands."""

    def completion(
        shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="which one it is for")], /
    ) -> int:
        """Print a script that completes commands and options; README says where shells look."""
        print(app.generate_completion(prog_name="txtop", shell=shell), end="")
        if shell == "zsh":
            print(_ZSH)
        return 0

    return completion
