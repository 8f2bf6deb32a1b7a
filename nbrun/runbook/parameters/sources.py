"""Read parameter values from the command line and the environment, and fetch secrets.

A secret's source is written as `@env:VAR`, `@file:PATH`, `@prompt`, `@keyring:SERVICE/NAME` or
`@cmd:COMMAND`. Secrets are fetched in the process that has the operator's terminal and environment.

To read a source is to act for the operator: it runs a command, or reads what only the operator can
read. The operator writes `-p`. A file and an environment may come from somebody else.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from nbrun.errors import ParameterError, UsageError
from nbrun.runbook.parameters.types import RawValue, raw_text
from nbrun.system.secret_command import read_secret

PREFIX = "NBRUN_PARAM_"

_UNREAD = {
    "env": "from the environment variable {}, not read",
    "file": "from the file {}, not read",
    "keyring": "from the keyring, {}, not read",
    "cmd": "from the command {}, not run",
    "prompt": "typed at the start",
}

# The kinds of source that can be read where nobody can be asked.
WITHOUT_TERMINAL = ("env", "file", "keyring", "cmd")

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
    if not names_source(raw):
        return raw_text(text[1:], raw.origin, secret=raw.secret)
    try:
        secret = read_source(text, name, ask, environ)
        return raw_text(secret, f"@{kind(text)}", secret=True)
    except ParameterError as error:
        raise ParameterError(f"parameter {name!r} ({raw.origin}): {error}") from None


def read_source(
    text: str, name: str = "", ask: AskSecret = None, environ: Mapping[str, str] = os.environ
) -> str:
    """Return the secret that `text`, `@SOURCE`, names. `ask` is asked for the secret `name`.

    Raises:
        ParameterError: the secret can't be read. The message never contains a part of it.
    """
    source, _, rest = text[1:].partition(":")
    return _fetched(source, rest, name, ask, environ)


def kind(text: str) -> str:
    """Return `env` for `@env:NAME`, and so on; "" for a text that names no source."""
    return text[1:].partition(":")[0] if text.startswith("@") else ""


def names_source(raw: RawValue) -> bool:
    """Return True if `raw` is `@SOURCE`, and not a text or `@@TEXT`."""
    return raw.text is not None and raw.text.startswith("@") and not raw.text.startswith("@@")


def leave_unread(name: str, raw: RawValue) -> RawValue:
    """Return a stand-in for the secret that `raw` names, without reading its source.

    Raises:
        ParameterError: there is no such source.
    """
    source, _, rest = (raw.text or "")[1:].partition(":")
    if source not in _UNREAD:
        raise ParameterError(f"parameter {name!r} ({raw.origin}): {_no_source(source)}")
    unread = _UNREAD[source].format(rest)
    return RawValue(None, None, raw.origin, secret=True, unread=unread)


def refuse_source(name: str, raw: RawValue, *, declared_secret: bool) -> None:
    """Raise ParameterError if `raw` names a source, and the operator did not ask for it.

    A parameter that the runbook declares secret is expected to have a source, wherever it is given.
    """
    if raw.origin == "-p" or declared_secret or not names_source(raw):
        return
    source = (raw.text or "").partition(":")[0]
    raise ParameterError(
        f"parameter {name!r} ({raw.origin}): {source} names a source, which is read only from -p, "
        "and for a parameter that the runbook declares secret: give it with -p, or start with "
        "--allow-sources. For a text that begins with @, write @@"
    )


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
    raise ParameterError(_no_source(source))


def _no_source(source: str) -> str:
    return (
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
