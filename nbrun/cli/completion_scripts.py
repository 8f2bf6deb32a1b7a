"""What `--install-completion` writes for bash and zsh, in place of Typer's own scripts, and how an
answer to them comes quickly.

Typer's lose the first Tab of each zsh session, put a space after `NAME=`, and leave a choice with a
space or a `*` in it to the shell to divide and expand.
"""

from typing import Any

from typer import _completion_shared as shared
from typer import core

# `%q` spells a word as bash reads it. Descriptions are not shown: bash has no place for them.
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
# What is asked for is fish's form: a word, and behind a tab what it means. When zsh has loaded the
# file, it takes it for the completion itself: so the last line calls that.
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
    """Let Typer write these."""
    shared._completion_scripts |= {"bash": _BASH, "zsh": _ZSH}


def leave_values_alone() -> None:
    """For a press of Tab: which parameters there are is asked then, and not what their values mean.
    To tell that, Typer from 0.29 on imports pydantic, which takes as long as all the rest."""
    parameter: Any = getattr(core, "_TyperParameter", None)
    if parameter is not None:
        parameter.process_value = lambda _self, _ctx, value: value
