"""Read parameter values from the command line and the environment, and fetch secrets.

A secret's source is written as `@env:VAR`, `@file:PATH`, `@prompt`, `@keyring:SERVICE/NAME` or
`@cmd:COMMAND`. Secrets are fetched in the process that has the operator's terminal and environment.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from nbrun.errors import ParameterError, UsageError
from nbrun.runbook.parameters.types import RawValue, raw_text
from nbrun.system.secret_command import read_secret

PREFIX = "NBRUN_PARAM_"

# Asks the operator for the secret with this name; None if there is no terminal to ask on.
AskSecret = Callable[[str], str] | None


def parse_assignments(assignments: Sequence[str]) -> dict[str, RawValue]:
    """Split each `name=text` at the first `=`, and return the texts by name.

    Raises:
        ParameterError: one has no name or no `=`, or two have the same name.
    """
    found: dict[str, RawValue] = {}
    for assignment in assignments:
        name, divider, text = assignment.partition("=")
        if not divider or not name:
            raise ParameterError(f"-p {assignment!r}: expected name=value, such as -p host=db1")
        if name in found:
            raise ParameterError(f"parameter {name!r} (-p): given twice: keep one")
        found[name] = raw_text(text, "-p")
    return found


def from_environment(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, RawValue]:
    """Return the values of `NBRUN_PARAM_<NAME>` for the parameters `names`, by name.

    The name as it is written takes precedence over the name in capitals.

    Raises:
        ParameterError: a name in capitals could mean two of `names`.
    """
    names = list(names)
    capitals = [name.upper() for name in names]
    found = {}
    for name in names:
        spelled = next((each for each in (name, name.upper()) if PREFIX + each in environ), None)
        if spelled is None:
            continue
        if spelled != name and (capitals.count(spelled) > 1 or spelled in names):
            raise ParameterError(
                f"{PREFIX}{spelled} could mean more than one parameter: set {PREFIX}{name}"
            )
        found[name] = raw_text(environ[PREFIX + spelled], PREFIX + spelled)
    return found


def unmatched_variables(environ: Mapping[str, str], names: Iterable[str]) -> list[str]:
    """Return the variables `NBRUN_PARAM_…` that match none of `names`.

    One of them may be a typing error, and the parameter would keep its default unnoticed.
    """
    matched = {PREFIX + spelled for name in names for spelled in (name, name.upper())}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in matched)


def fetch(
    name: str, raw: RawValue, ask: AskSecret, environ: Mapping[str, str] = os.environ
) -> RawValue:
    """Return the secret that the text of `raw` names with `@SOURCE`; without one, `raw` itself.

    `@@` stands for a text that begins with one @.

    Raises:
        ParameterError: the secret can't be fetched. The message never contains a part of it.
    """
    text = raw.text
    if text is None or not text.startswith("@"):
        return raw
    if text.startswith("@@"):
        return raw_text(text[1:], raw.origin, secret=raw.secret)
    source, _, rest = text[1:].partition(":")
    try:
        return raw_text(_fetched(source, rest, name, ask, environ), f"@{source}", secret=True)
    except ParameterError as error:
        raise ParameterError(f"parameter {name!r} ({raw.origin}): {error}") from None


def refuse_secret_in_argv(name: str, raw: RawValue) -> None:
    """Raise ParameterError if the secret `raw` is on the command line as plain text.

    Every user of the machine can read the command line.
    """
    if raw.origin == "-p" and not raw.secret:
        raise ParameterError(
            f"parameter {name!r} (-p): is a secret, and every user can read the command line: use "
            f"-p {name}=@prompt, @env:VAR, @file:PATH, @keyring:SERVICE/NAME or @cmd:COMMAND"
        )


def _fetched(source: str, rest: str, name: str, ask: AskSecret, environ: Mapping[str, str]) -> str:
    match source:
        case "prompt" if not rest:
            if ask is None:
                raise ParameterError("@prompt: there is no terminal to ask on")
            return ask(name)
        case "env":
            if rest not in environ:
                raise ParameterError(f"@env:{rest}: no such environment variable")
            return environ[rest]
        case "file":
            return _from_file(rest)
        case "keyring":
            return _from_keyring(rest)
        case "cmd":
            return _from_command(rest)
    raise ParameterError(
        f"@{source} is not a source of secrets (known: @env:, @file:, @prompt, @keyring: and "
        "@cmd:). For a text that begins with @, write @@"
    )


def _from_file(path: str) -> str:
    try:
        return _without_last_newline(Path(path).expanduser().read_bytes())
    except (OSError, RuntimeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterError(f"@file:{path}: can't be read ({why}): check the path") from None


def _without_last_newline(data: bytes) -> str:
    """Decode `data`, without the one newline that editors put at the end of a file."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ParameterError("the secret is not UTF-8 text") from None
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
        secret = keyring.get_password(service, user)
    except keyring.errors.KeyringError as error:
        raise ParameterError(f"@keyring:{place}: {error or type(error).__name__}") from None
    if secret is None:
        raise ParameterError(f"@keyring:{place}: the keyring has no such entry")
    return secret


def _from_command(command: str) -> str:
    try:
        return read_secret(command)
    except UsageError as error:
        raise ParameterError(f"@cmd:{error}") from None
