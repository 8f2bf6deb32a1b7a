"""The receivers that the settings name, with the secrets that they need looked up."""

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING

import msgspec

from nbrun.config import Config
from nbrun.errors import ParameterError, UsageError

if TYPE_CHECKING:
    from nbrun.config.notifications import HookSetting, NotifySetting

_CHECK_TIMEOUT = 30.0  # seconds for apprise to look at the URLs
_NO_APPRISE = "this needs the package apprise: pip install 'nbrun-cli[notify]'"


@dataclass(frozen=True)
class Receivers:
    """The hooks and the services of a run.

    `urls`: the URL of each service in `services`. `missing`: the services whose URL could not be
    looked up, with the reason.
    """

    hooks: "tuple[HookSetting, ...]" = ()
    services: "tuple[NotifySetting, ...]" = ()
    urls: tuple[str, ...] = field(default=(), repr=False)
    missing: "tuple[tuple[NotifySetting, str], ...]" = ()

    def secrets(self) -> dict[str, str]:
        """Return what must never be recorded, by name."""
        return {f"notify.urls {number}": url for number, url in enumerate(self.urls, 1)}


def notices(config: Config) -> tuple[str, ...]:
    """Return what an operator should know before the run: hooks that can't be run."""
    return tuple(
        f"{hook.file}: hooks.{hook.on}: {hook.words[0]} can't be run: nobody will be told by it"
        for hook in config.hooks
        if shutil.which(hook.words[0]) is None
    )


def rows(config: Config) -> list[tuple[str, str]]:
    """Return who will be told of what, for a plan."""
    hooks = [("hook", f"{hook.on}: {shlex.join(hook.words)}") for hook in config.hooks]
    return [*hooks, *(("notify", f"{', '.join(each.on)}: {each.url}") for each in config.notify)]


def look_up(config: Config) -> Receivers:
    """Return the receivers of a new run.

    Raises:
        UsageError: a URL can't be looked up, or apprise does not know its kind. The message never
            contains a part of it.
    """
    found = look_up_again(config)
    for setting, why in found.missing:
        raise UsageError(f"{setting.file}: notify.urls: {why}")
    for setting in _unknown(found.services, found.urls):
        raise UsageError(
            f"{setting.file}: notify.urls: {setting.url}: apprise does not know this kind of URL, "
            "or something is missing in it: try it with the command apprise"
        )
    return found


def look_up_again(config: Config) -> Receivers:
    """Return the receivers of a resumed run, which continues without those that are missing."""
    services, urls, missing = [], [], []
    for setting in config.notify:
        try:
            url = _url(setting)
        except UsageError as error:
            missing.append((setting, str(error)))
        else:
            services.append(setting)
            urls.append(url)
    return Receivers(config.hooks, tuple(services), tuple(urls), tuple(missing))


def _url(setting: "NotifySetting") -> str:
    from nbrun.runbook.parameters import sources

    if find_spec("apprise") is None:
        raise UsageError(_NO_APPRISE)
    try:
        url = sources.read_source(setting.url).strip()
    except ParameterError as error:
        raise UsageError(str(error)) from None
    if not url or len(url.split()) > 1:
        raise UsageError(f"{setting.url}: is not one apprise URL")
    return url


def _unknown(services: "Sequence[NotifySetting]", urls: Sequence[str]) -> "list[NotifySetting]":
    """Return the settings whose URL apprise does not take."""
    if not urls:
        return []
    from nbrun.notifications.senders import APPRISE, PYTHON, environment
    from nbrun.system.limited_command import CommandEndedError, LimitedCommand

    request = msgspec.json.encode({"urls": urls})
    try:
        code, printed = LimitedCommand(APPRISE, cwd="/").run(
            request, environment(os.environ, PYTHON, str), _CHECK_TIMEOUT
        )
    except (CommandEndedError, OSError) as error:
        raise UsageError(f"notify: apprise can't be started: {error}") from None
    if code and not printed.replace(" ", "").isdigit():
        raise UsageError(f"notify: {printed or f'apprise: exit {code}'}")
    return [services[int(number)] for number in printed.split()]
