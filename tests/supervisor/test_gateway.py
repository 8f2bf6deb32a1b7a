"""The gateway of a run, chosen by option and settings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nbrun.config import Config
from nbrun.core.run_options import RunOptions
from nbrun.errors import RunbookError, UsageError
from nbrun.kernel.remote import launcher
from nbrun.kernel.remote.launcher import GatewayLauncher
from nbrun.kernel.remote.settings import GatewaySettings
from nbrun.supervisor import gateway, kernel_plan
from nbrun.supervisor.requests import StartRequest
from tests.support.build_notebooks import code, notebook, write
from tests.support.fake_gateway import TOKEN, FakeGateway, fake_gateway

NOWHERE = Config(gateway=GatewaySettings("http://127.0.0.1:1"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGateway]:
    monkeypatch.setenv("JUPYTER_GATEWAY_AUTH_TOKEN", TOKEN)
    with fake_gateway() as made:
        yield made


def planned(folder: Path, server: FakeGateway, **options: object) -> kernel_plan.KernelPlan:
    book = write(folder, notebook(code("1")))
    chosen = RunOptions(**{"gateway": server.url} | options)  # type: ignore[arg-type]
    return kernel_plan.plan_kernel(StartRequest(runbook=book, attended=False, options=chosen))


def test_kernelspec_is_looked_for_on_the_gateway(tmp_path: Path, server: FakeGateway) -> None:
    plan = planned(tmp_path, server)
    assert (plan.kernelspec, plan.language) == ("python3", "python")
    assert isinstance(plan.launcher(), GatewayLauncher)
    assert server.kernels == {}, "no kernel starts before the run is in its record"
    with pytest.raises(RunbookError, match=r"has no kernel named 'deno': .*\(there: python3\)"):
        planned(tmp_path, server, kernel="deno")


def test_gateway_that_can_not_be_used_starts_nothing(tmp_path: Path, server: FakeGateway) -> None:
    server.token = "another"
    with pytest.raises(UsageError, match=r"refuses these credentials .*check token and headers"):
        planned(tmp_path, server)
    server.away = True
    with pytest.raises(UsageError, match="can't be reached"):
        planned(tmp_path, server)


@pytest.mark.parametrize("option", ["role", "cwd"])
def test_options_of_this_machine_are_refused(option: str) -> None:
    options = RunOptions(**{option: "there"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"--{option} is about this machine"):
        gateway.choose(options, NOWHERE)


def test_option_none_is_this_machine() -> None:
    assert gateway.choose(RunOptions(gateway="none", role="dba"), NOWHERE) is None
    assert gateway.choose(RunOptions(), Config()) is None


def test_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launcher, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"pip install 'nbrun-cli\[gateway\]'"):
        gateway.choose(RunOptions(), NOWHERE)


def test_token_that_can_not_be_fetched_names_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    settings = GatewaySettings("https://gateway", token="@env:NO_SUCH_TOKEN")
    with pytest.raises(UsageError, match="@env:NO_SUCH_TOKEN: no such environment variable"):
        gateway.connect(settings)


def test_notices_say_what_is_missing_and_what_is_readable() -> None:
    assert gateway.notices(None) == ()
    local, distant = (
        gateway.notices(gateway.connect(GatewaySettings(url)))
        for url in ("http://127.0.0.1:1", "http://gateway")
    )
    assert len(local) == 1
    assert "can't see its processes" in local[0]
    assert "not encrypted" in distant[1]
