"""A kernel on a scripted gateway."""

import queue
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from nbrun.kernel.messages import KernelInfo, Message, TextPrinted
from nbrun.kernel.remote import api, channels
from nbrun.kernel.remote.api import GatewayApi
from nbrun.kernel.remote.credentials import Credentials
from nbrun.kernel.remote.kernel import RemoteKernel
from nbrun.kernel.remote.launcher import GatewayLauncher
from nbrun.kernel.remote.settings import GatewaySettings
from tests.support.fake_gateway import TOKEN, FakeGateway, fake_gateway

TIMEOUT = 20  # seconds


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less where nothing but time passes."""
    monkeypatch.setattr(channels, "_TICK", 0.1)
    monkeypatch.setattr(api, "_END_PAUSE", 0.01)
    monkeypatch.setattr(channels, "_DRAIN_TIMEOUT", 0.05)


class RemoteSession:
    """A `RemoteKernel` on a fake gateway. `token` is what its source says now."""

    def __init__(self, gateway: FakeGateway, **settings: Any) -> None:
        self.gateway = gateway
        self.token = TOKEN
        self.secrets: dict[str, str] = {}
        self.queue: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.settings = GatewaySettings(gateway.url, token="@env:TOKEN", **settings)
        self.credentials = Credentials(self.settings, lambda _called, _source: self.token)
        self.api = GatewayApi(self.settings, self.credentials)
        self.kernel = self.another()

    def another(self, generation: int = 0) -> RemoteKernel:
        """Return another supervisor's kernel, with the same queue."""
        launcher = GatewayLauncher(self.api, "python3", attended=True, generation=generation)
        return RemoteKernel(launcher, self.queue.put, on_secrets=self._learn)

    def _learn(self, secrets: Mapping[str, str]) -> None:
        self.secrets |= secrets

    def start(self) -> KernelInfo:
        return self.kernel.start(lambda: False)

    def until(self, *kinds: type[Any]) -> list[Any]:
        """Return the messages up to the first one of these types, which is the last."""
        messages: list[Any] = [self.queue.get(timeout=TIMEOUT)]
        while not isinstance(messages[-1], kinds):
            messages.append(self.queue.get(timeout=TIMEOUT))
        return messages

    def names(self, *kinds: type[Any]) -> list[str]:
        return [type(each).__name__ for each in self.until(*kinds)]

    def crash(self) -> None:
        """Leave the kernel as a supervisor does that is killed."""
        live, self.kernel._live = self.kernel._live, None
        assert live is not None
        live.expect_exit()
        self.gateway.drop()

    def hold(self) -> str:
        """Execute a step that does not end by itself."""
        request = self.kernel.execute("hold")
        assert [type(each) for each in self.until(TextPrinted)] == [TextPrinted]
        return request


@pytest.fixture
def gateway() -> Iterator[FakeGateway]:
    with fake_gateway() as made:
        yield made


@pytest.fixture
def remote(gateway: FakeGateway) -> Iterator[RemoteSession]:
    """Return a session whose kernel is started."""
    made = RemoteSession(gateway, reconnect=5.0)
    made.start()
    yield made
    made.gateway.statuses.clear()
    made.gateway.away = False
    made.kernel.shutdown()
