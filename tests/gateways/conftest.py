"""Gateways that the tests of this folder share."""

import queue
from collections.abc import Iterator
from typing import Any

import pytest

from nbrun.kernel.messages import KernelInfo, Message
from nbrun.kernel.remote.api import GatewayApi
from nbrun.kernel.remote.credentials import Credentials
from nbrun.kernel.remote.kernel import RemoteKernel
from nbrun.kernel.remote.launcher import GatewayLauncher
from nbrun.kernel.remote.settings import GatewaySettings
from tests.gateways import environments, servers
from tests.gateways.proxy import Proxy
from tests.gateways.servers import Gateway

TIMEOUT = 40  # seconds


@pytest.fixture(scope="module", params=servers.KINDS)
def gateway(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Gateway]:
    if not environments.is_installed(servers.environment(request.param)):
        pytest.fail("the gateways are not installed: run python -m tests.gateways")
    with servers.gateway(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


class RemoteSession:
    """A `RemoteKernel` on a real gateway, through a proxy."""

    def __init__(self, gateway: Gateway, **settings: Any) -> None:
        self.gateway = gateway
        self.proxy = Proxy(gateway.url)
        self.queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.settings = GatewaySettings(self.proxy.url, token="@env:TOKEN", **settings)
        self.api = GatewayApi(self.settings, Credentials(self.settings, lambda *_: gateway.token))
        self.kernel = self.another()

    def another(self) -> RemoteKernel:
        """Return another supervisor's kernel, with the same queue."""
        return RemoteKernel(GatewayLauncher(self.api, "python3", attended=True), self.queue.put)

    def start(self) -> KernelInfo:
        return self.kernel.start(lambda: False)

    def until(self, *kinds: type[Any]) -> list[Any]:
        """Return the messages up to the first one of these types, which is the last."""
        messages: list[Any] = [self.queue.get(timeout=TIMEOUT)]
        while not isinstance(messages[-1], kinds):
            messages.append(self.queue.get(timeout=TIMEOUT))
        return messages

    def close(self) -> None:
        self.proxy.let_in()
        self.kernel.shutdown()
        self.proxy.close()


@pytest.fixture(autouse=True)
def user(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a user whom an Enterprise Gateway lets start kernels: root may not."""
    if gateway.kind == "enterprise-gateway":
        monkeypatch.setenv("KERNEL_USERNAME", "ada")


@pytest.fixture
def remote(gateway: Gateway) -> Iterator[RemoteSession]:
    """Return a session whose kernel is started."""
    made = RemoteSession(gateway)
    made.start()
    yield made
    made.close()
