"""`txtop completion`: shell scripts that complete commands, options and their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from cyclopts import App, Parameter

# zsh runs a file of `fpath` as the body of the function that the file is named after, so it must
# call the function that it defines. A sourced file must register that function instead.
_ZSH = """\
if [[ ${zsh_eval_context[-1]} == loadautofunc ]]; then
  _cyclopts_txtop "$@"
else
  compdef _cyclopts_txtop txtop
fi"""


def build_completion(app: App) -> Callable[..., int]:
    """Build the command `completion`. `app` is an argument because it imports this module."""

    def completion(
        shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="which one it is for")], /
    ) -> int:
        """Print a script that completes commands and options; docs/commands.md: where it goes."""
        print(app.generate_completion(prog_name="txtop", shell=shell), end="")
        if shell == "zsh":
            print(_ZSH)
        return 0

    return completion
