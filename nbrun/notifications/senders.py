"""The senders of messages: a hook's command, and a chat service that apprise knows.

Both are child processes with a time limit, so that neither can delay, end or fill the supervisor.
"""

import os
import re
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Protocol

import msgspec

from nbrun.config.notifications import HookSetting, NotifySetting
from nbrun.core.model import Occasion
from nbrun.errors import NotificationError
from nbrun.notifications.message import Message
from nbrun.system.limited_command import CommandEndedError, LimitedCommand

# Variables that a program needs to find its files (nbrun, the run and its settings) and to write in
# the user's language, and how it gets to the network. All others may contain secrets.
_USUAL = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR"}
    | {"NBRUN_RUNS_DIR", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME"}
)
_NETWORK = frozenset(
    {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
)
_LOCALE = "LC_"
# What Python needs to find apprise, as `system.python_settings` lists it.
PYTHON = ("PYTHONHOME", "PYTHONPATH", "PYTHONUSERBASE", "PYTHONNOUSERSITE")
_CHAT_TRIES = 3


class Sender(Protocol):
    """A receiver of messages. `name` names it in the record.

    `after`: seconds that an operator has to answer before it is told of a stop. `timeout`: seconds
    for one message. `tries`: how often a message is sent before it counts as failed.
    """

    name: str
    on: tuple[Occasion, ...]
    after: float
    timeout: float
    tries: int

    def send(self, message: Message) -> None:
        """Send a message. Raises NotificationError."""

    def close(self) -> None:
        """End a `send` that is in progress on another thread. No other will follow."""


class HookSender:
    """Runs a hook's command in `/`, with the message's JSON on stdin.

    The command is not tried again: it may have done half of its work.
    """

    tries = 1

    def __init__(self, hook: HookSetting, redact: Callable[[str], str]) -> None:
        self.name = hook.words[0]
        self.on: tuple[Occasion, ...] = (hook.on,)
        self.after, self.timeout = hook.after, hook.timeout
        self._command = LimitedCommand(hook.words, cwd="/", kill_leftovers=True)
        self._environment = environment(os.environ, hook.env, redact)

    def send(self, message: Message) -> None:
        own = {"NBRUN_RUN": message.run, "NBRUN_ON": message.on}
        _run(self._command, message.json(), {**self._environment, **own}, self.timeout)

    def close(self) -> None:
        self._command.close()


class ServiceSender:
    """Sends title and text to a chat service in a child process, which alone loads apprise."""

    tries = _CHAT_TRIES

    def __init__(self, setting: NotifySetting, url: str, redact: Callable[[str], str]) -> None:
        self.name = setting.url
        self.on = setting.on
        self.after, self.timeout = setting.after, setting.timeout
        self._url = url
        self._command = LimitedCommand(APPRISE, cwd="/", kill_leftovers=True)
        self._environment = environment(os.environ, PYTHON, redact)

    def send(self, message: Message) -> None:
        request = {
            "url": self._url,
            "title": harmless_in_chat(message.title()),
            "body": harmless_in_chat(message.text()),
        }
        _run(self._command, msgspec.json.encode(request), self._environment, self.timeout)

    def close(self) -> None:
        self._command.close()


# -P: modules in the working folder must not shadow Python's own
APPRISE = [sys.executable, "-P", "-m", "nbrun.notifications.apprise_process"]


def _run(
    command: LimitedCommand, stdin: bytes, environment: Mapping[str, str], seconds: float
) -> None:
    try:
        code, printed = command.run(stdin, environment, seconds)
    except CommandEndedError as error:
        raise NotificationError(str(error)) from None
    except OSError as error:
        raise NotificationError(f"can't be run: {error.strerror}") from error
    if code:
        raise NotificationError(f"exit {code}" + (printed and f": {printed}"))


def environment(
    environ: Mapping[str, str], names: Collection[str], redact: Callable[[str], str]
) -> dict[str, str]:
    """Return the usual variables and those of `names`, without any that contains a secret."""
    return {
        name: value
        for name, value in environ.items()
        if _is_usual(name) or name in names
        if redact(value) == value
    }


def _is_usual(name: str) -> bool:
    return name in _USUAL or name.upper() in _NETWORK or name.startswith(_LOCALE)


_MENTION = re.compile(r"(?<![\w.])@(?=\w)")
_IN_CHAT = {ord("<"): "‹", ord(">"): "›", ord("`"): "'"}


def harmless_in_chat(text: str) -> str:
    """Return `text` without tags, links with another text, code fences, or mentions of people.

    A service may read Markdown or its own mark-up in a text that is sent as plain text.
    """
    return _MENTION.sub("＠", text.translate(_IN_CHAT).replace("](", "] ("))
