"""The gateway of a run: chosen, authenticated to, and refused what it can't do."""

from nbrun.config import Config
from nbrun.core.run_options import RunOptions
from nbrun.errors import UsageError
from nbrun.kernel.remote import launcher
from nbrun.kernel.remote.api import GatewayApi
from nbrun.kernel.remote.settings import GatewaySettings
from nbrun.runbook.parameters import sources
from nbrun.runbook.parameters.types import raw_text

_NOT_SEEN = (
    "the kernel runs on {}: nbrun can't see its processes, and so reports neither programs that a "
    "step leaves running nor a kernel that does not respond"
)
_UNENCRYPTED = (
    "{} is not encrypted: others on the way can read the token, the parameters and the output"
)


def choose(options: RunOptions, settings: Config) -> GatewayApi | None:
    """Return the gateway that runs the kernels of a new run; None for this machine.

    Raises:
        UsageError: it can't be used, or an option is only for kernels on this machine.
    """
    found = settings.gateway_for(options.gateway)
    if found is None:
        return None
    for option, value in (("--role", options.role), ("--cwd", options.cwd)):
        if value is not None:
            raise UsageError(
                f"{option} is about this machine, and the kernel runs on {found.url}, which "
                "decides about that itself: leave it out, or start with --gateway none"
            )
    return connect(found)


def of_record(url: str, settings: Config) -> GatewayApi:
    """Return the gateway that a record names, with the credentials of this user's settings.

    Raises:
        UsageError: its secrets can't be fetched.
    """
    found = settings.gateway_for(url)
    assert found is not None  # noqa: S101  a record names a URL
    return connect(found)


def connect(found: GatewaySettings) -> GatewayApi:
    """Return the interface of a gateway. Raises UsageError."""
    return launcher.connect(found, _fetch)


def _fetch(called: str, source: str) -> str:
    found = sources.fetch(called, raw_text(source, "[gateway]", secret=True), ask=None)
    return found.text or ""


def notices(gateway: GatewayApi | None) -> tuple[str, ...]:
    """Return what the operator should know of a run whose kernel is elsewhere, for the record."""
    if gateway is None:
        return ()
    settings = gateway.settings
    unencrypted = (_UNENCRYPTED.format(settings.url),) if settings.is_unencrypted else ()
    return (_NOT_SEEN.format(settings.url), *unencrypted)
