"""Completion scripts for bash and zsh, which `--install-completion` writes instead of Typer's.

Typer's scripts ignore the first Tab of a zsh session, add a space after `NAME=`, and let the shell
split and expand a choice that contains a space or a `*`.
"""

from typing import Any

from typer import _completion_shared as shared
from typer import core

# `%q` quotes a word for bash. bash can't show descriptions.
_BASH = r"""
%(complete_func)s() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ -n $word ]]; then COMPREPLY+=("$(printf '%%q' "$word")"); fi
    done < <(IFS=$'\n' env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
                 %(autocomplete_var)s=complete_bash "$1" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
    return 0
}

complete -o default -F %(complete_func)s %(prog_name)s
"""
# The script asks for fish's format: a word, a tab, and a description. zsh runs the file itself as
# the completion when it loads the file for the first Tab, so the last line calls the function.
_ZSH = r"""
#compdef %(prog_name)s

%(complete_func)s() {
  local line word
  local -a open whole
  for line in "${(@f)$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" \
      %(autocomplete_var)s=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
      %(prog_name)s 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    word=${${line%%%%$'\t'*}//:/\\:}
    if [[ $line == *$'\t'* ]]; then line="$word:${line#*$'\t'}"; else line=$word; fi
    if [[ $word == *= ]]; then open+=("$line"); else whole+=("$line"); fi
  done
  if (( ! $#open && ! $#whole )); then _files; return; fi
  _describe -V 'parameters' open -S ''
  _describe -V 'choices' whole
}

compdef %(complete_func)s %(prog_name)s
if [[ $funcstack[1] == _%(prog_name)s ]]; then %(complete_func)s "$@"; fi
"""


def register() -> None:
    """Replace Typer's scripts."""
    shared._completion_scripts |= {"bash": _BASH, "zsh": _ZSH}


def skip_value_conversion() -> None:
    """Keep Typer from converting the values of options, which completion does not need.

    Typer from 0.29 on imports pydantic to convert them, which doubles the time of a Tab.
    """
    parameter: Any = getattr(core, "_TyperParameter", None)
    if parameter is not None:
        parameter.process_value = lambda _self, _ctx, value: value
