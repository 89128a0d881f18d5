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

# bash splits a line at the `:` of `sdpa:flash`, and cyclopts' function looks for an option right
# before the word at the cursor. Both get what they expect: words joined again at a `:`, and of the
# values of an option that takes a list only the one at the cursor.
_BASH = """\
_txtop_lists=' %s '
_txtop_joined() {
  local -a words=() kept=()
  local word rest=$COMP_LINE before count=0 at=0 i option
  for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
    word=${COMP_WORDS[i]}
    before=${rest%%%%"$word"*}
    rest=${rest#"$before$word"}
    if ((i)) && [[ -z $before && ($word == :* || ${words[count-1]} == *:) ]]; then
      words[count-1]+=$word
    else
      words[count++]=$word
    fi
    ((i == COMP_CWORD)) && at=$((count - 1))
  done
  for ((option = at - 1; option > 1; option--)); do
    [[ ${words[option]} == -* ]] && break
  done
  if ((option > 1)) && [[ $_txtop_lists == *" ${words[1]}${words[option]} "* ]]; then
    kept=("${words[@]:0:option+1}" "${words[at]}")
  else
    kept=("${words[@]:0:at+1}")
  fi
  local -a COMP_WORDS=("${kept[@]}")
  local COMP_CWORD=$((${#kept[@]} - 1)) current=${words[at]}
  _txtop
  [[ $current == *:* ]] && COMPREPLY=("${COMPREPLY[@]#"${current%%"${current##*:}"}"}")
}
complete -F _txtop_joined txtop"""


def _list_list_options(app: App) -> list[str]:
    """Return the options that take several values, each after its command: `run--precisions`."""
    names = []
    for command in app:
        if command.startswith("-"):
            continue
        for argument in app[command].assemble_argument_collection():
            if argument.token_count()[1] and argument.name.startswith("--"):
                names.append(command + argument.name)
    return names


def build_completion(app: App) -> Callable[..., int]:
    """Build the command `completion`. `app` is an argument because it imports this module."""

    def completion(
        shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="which one it is for")], /
    ) -> int:
        """Print a script that completes commands and options; docs/commands.md: where it goes."""
        print(app.generate_completion(prog_name="txtop", shell=shell), end="")
        if shell == "zsh":
            print(_ZSH)
        if shell == "bash":
            print(_BASH % " ".join(_list_list_options(app)))
        return 0

    return completion
