"""The launcher of kernels on a gateway: its interface, a kernelspec and their numbers."""

from importlib.util import find_spec
from typing import Any

from nbrun.errors import RunbookError, UsageError
from nbrun.kernel.remote.api import GatewayApi, GatewayError
from nbrun.kernel.remote.credentials import Credentials, FetchSecret
from nbrun.kernel.remote.settings import GatewaySettings


class GatewayLauncher:
    """Starts nothing by itself: no kernel runs elsewhere before the run is in its record."""

    def __init__(self, api: GatewayApi, name: str, *, attended: bool, generation: int = 0) -> None:
        """Take the kernelspec `name` for the kernels after number `generation`.

        `attended`: somebody can answer a cell that asks for input.
        """
        self.api = api
        self.name = name
        self.attended = attended
        self.generation = generation
        self.role = None  # a role is of this machine: kernel_plan refuses it with a gateway

    def launch(self) -> None:
        """Do nothing yet (see the class)."""

    def close(self) -> None:
        """Do nothing: nothing was started."""


def connect(settings: GatewaySettings, fetch: FetchSecret) -> GatewayApi:
    """Return the interface of a gateway, with its secrets fetched. Nothing is sent yet.

    Raises:
        UsageError: the extra is not installed, or a secret can't be fetched.
    """
    if find_spec("jupyter_kernel_client") is None:
        raise UsageError(
            "a gateway needs the package jupyter-kernel-client: pip install 'nbrun-cli[gateway]'"
        )
    return GatewayApi(settings, Credentials(settings, fetch))


def find_kernelspec(api: GatewayApi, name: str | None, runs: str | None = None) -> tuple[str, str]:
    """Return the name and the language of a kernelspec that the gateway has.

    Without a name, that is the one kernelspec that runs the language `runs`.

    Raises:
        UsageError: the gateway can't be used.
        RunbookError: it has no such kernelspec, or no name was given; the message lists its own.
    """
    try:
        specs = api.kernelspecs()["kernelspecs"]
    except GatewayError as error:
        raise UsageError(str(error)) from error
    choose = f"choose one with --kernel (there: {', '.join(sorted(specs)) or 'none'})"
    if not name and runs:
        from nbrun.kernel.jupyter_adapter import one_of

        found = [each for each in sorted(specs) if _language(specs[each]).lower() == runs.lower()]
        name = one_of(found, runs, ", ".join(sorted(specs)))
    if not name:
        raise RunbookError(f"the notebook names no kernel: {choose}")
    if name not in specs:
        raise RunbookError(f"{api.settings.url} has no kernel named {name!r}: {choose}")
    return name, _language(specs[name])


def _language(model: Any) -> str:
    spec = model.get("spec") if isinstance(model, dict) else None
    return str(spec.get("language", "")) if isinstance(spec, dict) else ""
