"""Where values come from: the command line, the environment, a file; and secrets, from elsewhere.

Secrets are fetched in the process that has the operator's terminal and environment.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from nbrun.errors import ParameterError, UsageError
from nbrun.runbook.parameters.types import Given, as_text
from nbrun.system.secret_command import printed

PREFIX = "NBRUN_PARAM_"

# Asks the operator for the secret of this name; None where nobody can be asked.
Ask = Callable[[str], str] | None


def parse_assignments(assignments: Sequence[str]) -> dict[str, Given]:
    """`["name=text"]` by name; the first `=` divides. ParameterError when one has no such form."""
    found: dict[str, Given] = {}
    for assignment in assignments:
        name, divider, text = assignment.partition("=")
        if not divider or not name:
            raise ParameterError(f"-p {assignment!r}: expected name=value, such as -p host=db1")
        if name in found:
            raise ParameterError(f"parameter {name!r} (-p): given twice; keep one")
        found[name] = as_text(text, "-p")
    return found


def from_environment(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, Given]:
    """What `NBRUN_PARAM_<NAME>` says of the parameters `names`: the name as it is goes before the
    name in capitals. ParameterError when capitals could mean two of them."""
    names = list(names)
    capitals = [name.upper() for name in names]
    found = {}
    for name in names:
        spelled = next((each for each in (name, name.upper()) if PREFIX + each in environ), None)
        if spelled is None:
            continue
        if spelled != name and (capitals.count(spelled) > 1 or spelled in names):
            raise ParameterError(
                f"{PREFIX}{spelled} could mean more than one parameter; set {PREFIX}{name}"
            )
        found[name] = as_text(environ[PREFIX + spelled], PREFIX + spelled)
    return found


def unheard(environ: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """The variables `NBRUN_PARAM_…` that none of `names` answers to: told, lest one is a typing
    error that leaves a default in force."""
    heard = {PREFIX + spelled for name in names for spelled in (name, name.upper())}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in heard)


def fetch(name: str, given: Given, ask: Ask, environ: Mapping[str, str] = os.environ) -> Given:
    """`given` itself; or, where its text begins with @, what it refers to, which is a secret.
    `@@` stands for a text that begins with one @.

    ParameterError says what is wrong, never what was fetched.
    """
    text = given.text
    if text is None or not text.startswith("@"):
        return given
    if text.startswith("@@"):
        return as_text(text[1:], given.where, secret=given.secret)
    source, _, rest = text[1:].partition(":")
    try:
        return as_text(_fetched(source, rest, name, ask, environ), f"@{source}", secret=True)
    except ParameterError as error:
        raise ParameterError(f"parameter {name!r} ({given.where}): {error}") from None


def refuse_in_plain_view(name: str, given: Given) -> None:
    """ParameterError for a secret that stands on the command line, where every user of the
    machine can read it."""
    if given.where == "-p" and not given.secret:
        raise ParameterError(
            f"parameter {name!r} (-p): is a secret, and the command line shows it to everybody; "
            f"use -p {name}=@prompt, @env:VAR, @file:PATH, @keyring:SERVICE/NAME or @cmd:COMMAND"
        )


def _fetched(source: str, rest: str, name: str, ask: Ask, environ: Mapping[str, str]) -> str:
    match source:
        case "prompt" if not rest:
            if ask is None:
                raise ParameterError("@prompt: there is no terminal to ask on")
            return ask(name)
        case "env":
            if rest not in environ:
                raise ParameterError(f"@env:{rest}: there is no such environment variable")
            return environ[rest]
        case "file":
            return _from_file(rest)
        case "keyring":
            return _from_keyring(rest)
        case "cmd":
            return _from_command(rest)
    raise ParameterError(
        f"@{source} is no source of secrets (there are @env:, @file:, @prompt, @keyring: and "
        "@cmd:); for a text that begins with @, write @@"
    )


def _from_file(path: str) -> str:
    try:
        return _line(Path(path).expanduser().read_bytes())
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"@file:{path}: can't be read ({why}); check the path") from None


def _line(data: bytes) -> str:
    """Text without the one newline that editors and commands put at its end."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ParameterError("what was fetched is not UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _from_keyring(place: str) -> str:
    service, divider, user = place.rpartition("/")
    if not divider or not service or not user:
        raise ParameterError(f"@keyring:{place}: expected @keyring:SERVICE/NAME")
    try:
        import keyring
    except ImportError:
        raise ParameterError(
            "@keyring: needs the package keyring: pip install 'nbrun-cli[keyring]'"
        ) from None
    try:
        found = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise ParameterError(f"@keyring:{place}: {error or type(error).__name__}") from None
    if found is None:
        raise ParameterError(f"@keyring:{place}: the keyring has no such entry")
    return found


def _from_command(command: str) -> str:
    try:
        return printed(command)
    except UsageError as error:
        raise ParameterError(f"@cmd:{error}") from None
