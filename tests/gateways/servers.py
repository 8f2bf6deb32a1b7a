"""Gateways as processes of their own, on loopback."""

import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.gateways import environments

TOKEN = "open-sesame-1"
KINDS = ("server", "kernel-gateway", "enterprise-gateway")
START_TIMEOUT = 60  # seconds


def environment(kind: str) -> str:
    """Return the name of the environment in which a kind of gateway is installed."""
    return "enterprise" if kind == "enterprise-gateway" else "current"


class Gateway:
    """One server. `culling` has it end kernels that are idle for longer than a second or two."""

    def __init__(self, kind: str, folder: Path, *, culling: bool = False) -> None:
        self.kind, self.folder, self.culling = kind, folder, culling
        self.port = _free_port()
        self.token = TOKEN
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{kind}.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        bin_folder = environments.folder(environment(self.kind)) / "bin"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(bin_folder / "python"), "-m", *self._arguments()],
                cwd=self.folder,
                env=self._environment(bin_folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)

    def _environment(self, bin_folder: Path) -> dict[str, str]:
        """Return an environment without anything of Jupyter's from this one."""
        kept = {key: os.environ[key] for key in ("LANG", "TMPDIR") if key in os.environ}
        path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}"
        runtime = str(self.folder / "runtime")
        return {**kept, "PATH": path, "HOME": str(self.folder), "JUPYTER_RUNTIME_DIR": runtime}

    def _arguments(self) -> list[str]:
        cull = {"cull_idle_timeout": 2, "cull_interval": 1, "cull_connected": True}
        culling = [f"--MappingKernelManager.{key}={value}" for key, value in cull.items()]
        if self.kind == "server":
            return [
                *("jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"),
                *(f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0"),
                f"--IdentityProvider.token={self.token}",
                *(culling if self.culling else []),
            ]
        module, app, variable = {
            "kernel-gateway": ("kernel_gateway", "KernelGatewayApp", "auth_token"),
            "enterprise-gateway": ("enterprise_gateway", "EnterpriseGatewayApp", "auth_token"),
        }[self.kind]
        if self.kind == "enterprise-gateway":
            culling = [each.replace("--Mapping", "--RemoteMapping") for each in culling]
        return [
            *(module, f"--{app}.ip=127.0.0.1", f"--{app}.port={self.port}"),
            *(f"--{app}.port_retries=0", f"--{app}.{variable}={self.token}"),
            *(culling if self.culling else []),
        ]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/api", timeout=1) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError:  # it asks for the token, and so it is there
            return True
        except OSError:
            return False

    def kill(self) -> None:
        """End the server at once. Its kernels notice, and end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self) -> None:
        """End the server, and its kernels with it."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def gateway(kind: str, folder: Path, *, culling: bool = False) -> Iterator[Gateway]:
    made = Gateway(kind, folder, culling=culling)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder / "runtime", ignore_errors=True)
