"""jupyter_client's classes, adapted: find kernelspecs, start a kernel, wait until it is ready."""

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.paths import jupyter_path

from nbrun.errors import RunbookError

STARTUP_TIMEOUT = 60.0  # seconds
_SHELL_TIMEOUT = 4.0  # seconds for an adopted kernel that may answer on shell only
_RETRY_INTERVAL = 0.2  # seconds for iopub to answer before the kernel is asked again

_IPC_KERNELS = ("ipykernel", "bash_kernel", "IRkernel")  # words of their commands

Launch = Callable[[list[str], dict[str, str], str], Any]  # by arguments, environment and folder


def find_kernelspec(name: str | None) -> KernelSpec:
    """Return the installed kernelspec `name`.

    Raises:
        RunbookError: it is not installed, or no name was given; the message lists what is. Or the
            provisioner that it asks for is not installed.
    """
    specs = KernelspecFinder()
    if not name:
        raise RunbookError(
            f"the notebook names no kernel: choose one with --kernel ({_installed(specs)})"
        )
    try:
        return specs.get_kernel_spec(name)
    except NoSuchKernel:
        raise RunbookError(_why_not(specs, name)) from None


def _why_not(specs: KernelSpecManager, name: str) -> str:
    folder = specs.find_kernel_specs().get(name)
    provisioner = provisioner_of(KernelSpec.from_resource_dir(folder)) if folder else ""
    if provisioner:
        return (
            f"the kernel {name!r} is started by the kernel provisioner {provisioner!r}, which is "
            "not installed: install the package that has it, or choose another kernel with --kernel"
        )
    return f"no kernel named {name!r} is installed: choose one with --kernel ({_installed(specs)})"


def provisioner_of(spec: KernelSpec) -> str:
    """Return the name of the provisioner that a kernelspec asks for; empty for Jupyter's own."""
    found = spec.metadata.get("kernel_provisioner")
    name = str(found.get("provisioner_name") or "") if isinstance(found, dict) else ""
    return "" if name == _LOCAL else name


def starts_here(spec: KernelSpec) -> bool:
    """Return True if the kernel is a process that Jupyter's own provisioner, or a child, starts."""
    name = provisioner_of(spec)
    if not name:
        return True
    known = KernelProvisionerFactory.instance().provisioners
    return name in known and issubclass(known[name].load(), LocalProvisioner)


_LOCAL = "local-provisioner"


def kernelspec_for(language: str) -> str:
    """Return the name of the one installed kernelspec whose kernel runs `language`.

    Jupyter's own name for the language, `python3`, takes precedence.

    Raises:
        RunbookError: there is none, or more than one; the message lists what is installed.
    """
    specs = KernelspecFinder()
    found = [
        name
        for name in sorted(specs.find_kernel_specs())
        if _language_of(specs, name) == language.lower()
    ]
    return one_of(found, language, _installed(specs))


def one_of(found: Sequence[str], language: str, installed: str) -> str:
    """Return the one of the kernelspecs `found`, all for `language`; `installed` lists all.

    Raises RunbookError, as `kernelspec_for` does.
    """
    usual = _USUAL_KERNELS.get(language.lower())
    if usual in found:
        return str(usual)
    if len(found) == 1:
        return found[0]
    if found:
        raise RunbookError(
            f"the runbook names no kernel, and several run {language}: choose one with --kernel "
            f"({', '.join(found)})"
        )
    raise RunbookError(
        f"the runbook names no kernel, and none that runs {language} is installed: install one, or "
        f"choose one with --kernel ({installed})"
    )


_USUAL_KERNELS = {"python": "python3", "bash": "bash"}


def _language_of(specs: KernelSpecManager, name: str) -> str:
    """Return the language of a kernelspec, in lower case; empty if its file can't be read."""
    try:
        return str(specs.get_kernel_spec(name).language).lower()
    except (NoSuchKernel, OSError, ValueError):
        return ""


def _installed(specs: KernelSpecManager) -> str:
    return "installed: " + (", ".join(sorted(specs.find_kernel_specs())) or "none")


class KernelspecFinder(KernelSpecManager):
    """jupyter_client's finder, which does not import IPython to look up one folder.

    The folder is that of kernelspecs from IPython 2.
    """

    def _kernel_dirs_default(self) -> list[str]:
        ipython = Path(os.environ.get("IPYTHONDIR") or "~/.ipython").expanduser()
        return [*jupyter_path("kernels"), str(ipython / "kernels")]


class KernelClient(BlockingKernelClient):
    """jupyter_client's client, which waits for iopub and stdin without an idle time of 0.2 s.

    It must wait for stdin too: a kernel drops an input request to a socket that is not connected.
    """

    def start_channels(
        self,
        shell: bool = True,
        iopub: bool = True,
        stdin: bool = False,
        hb: bool = False,
        control: bool = False,
    ) -> None:
        super().start_channels(shell, iopub, stdin, hb, control)

    def wait_for_ready(self, timeout: float | None = None) -> None:
        """Return when the kernel answers on shell and iopub, and stdin is connected.

        Raises:
            RuntimeError: the process ended, `timeout` seconds passed, or the operator gave up.
        """
        deadline = time.monotonic() + (timeout or STARTUP_TIMEOUT)
        manager: Any = self.parent
        poller = zmq.Poller()
        shell, iopub = self.shell_channel.socket, self.iopub_channel.socket
        poller.register(shell, zmq.POLLIN)
        poller.register(iopub, zmq.POLLIN)
        silent = {shell, iopub}
        asked = 0.0
        while silent:
            now = time.monotonic()
            if now > deadline:
                raise RuntimeError(f"it did not answer within {timeout:.0f} s")
            if not manager.is_alive():
                raise RuntimeError("its process ended before it was ready")
            if manager.give_up():
                raise RuntimeError("the operator gave up waiting")
            if not asked or (shell not in silent and now - asked > _RETRY_INTERVAL):
                self.kernel_info()
                asked = now
            for socket, _ in poller.poll(50):
                poller.unregister(socket)
                silent.discard(socket)
        self._connect_stdin(deadline)

    def wait_until_connected(
        self,
        is_alive: Callable[[], bool],
        give_up: Callable[[], bool],
        *,
        by_protocol: bool = True,
    ) -> None:
        """Return when an adopted kernel, which may be at work, answers on control, and iopub sends.

        No message of iopub or shell is received: the caller gets all of them. `by_protocol`: the
        kernel does both while it works. Of others, IRkernel answers on shell only, and Deno sends
        nothing on iopub for a request on control: they are asked on shell too, and not waited for
        if they are at work.

        Raises:
            RuntimeError: the process ended, or `give_up` returned True.
        """
        poller = zmq.Poller()
        silent = {self.control_channel.socket, self.iopub_channel.socket}
        for socket in silent:
            poller.register(socket, zmq.POLLIN)
        asked, began, on_shell = 0.0, time.monotonic(), by_protocol
        while silent:
            if not is_alive():
                raise RuntimeError("its process is gone")
            if give_up():
                raise RuntimeError("it did not answer, and the operator gave up waiting")
            waited = time.monotonic() - began
            if not by_protocol and waited > _SHELL_TIMEOUT:
                return
            if not on_shell and waited > _RETRY_INTERVAL * 5:
                self.shell_channel.send(self.session.msg("kernel_info_request"))
                silent.discard(self.control_channel.socket)
                on_shell = True
            if time.monotonic() - asked > _RETRY_INTERVAL * 5:
                self.control_channel.send(self.session.msg("kernel_info_request"))
                asked = time.monotonic()
            for socket, _ in poller.poll(50):
                poller.unregister(socket)
                silent.discard(socket)

    def _connect_stdin(self, deadline: float) -> None:
        # With IMMEDIATE, a socket becomes writable only when it is connected.
        self.context.setsockopt(zmq.IMMEDIATE, 1)
        stdin: Any = self.stdin_channel.socket
        self.stdin_channel.start()
        if not stdin.poll(max(0, deadline - time.monotonic()) * 1000, zmq.POLLOUT):
            raise RuntimeError("its stdin channel can't be reached")


class ProbeSocket:
    """A socket that sends the same request repeatedly, and receives the answers (see `Probe`).

    It sends nothing while a request has no answer, so that nothing piles up at a stuck kernel.
    """

    def __init__(self, socket: Any, request: Callable[[], list[bytes]]) -> None:
        self._socket = socket
        self._request = request
        self._is_unsent = False
        self._is_pending = False

    def ask(self) -> None:
        self._receive()
        self._is_unsent = not self._is_pending
        self._is_pending = True
        self._send()

    def answered(self) -> bool:
        self._send()
        self._receive()
        return not self._is_pending

    def _send(self) -> None:
        if self._is_unsent:
            with suppress(zmq.Again):  # not connected yet: the next call tries again
                self._socket.send_multipart(self._request(), zmq.NOBLOCK)
                self._is_unsent = False

    def _receive(self) -> None:
        with suppress(zmq.Again):
            while self._is_pending and not self._is_unsent:
                self._socket.recv_multipart(zmq.NOBLOCK)
                self._is_pending = False


# debugpy takes a fifth of a kernel's startup time, and nobody attaches a debugger to a step.
# ipykernel has no option to leave it out, but works without it if its import fails. The prelude
# makes the import work again for cells.
_LAUNCHER = ["-m", "ipykernel_launcher"]
_LAUNCHED_WITHOUT_DEBUGGER = [
    "-c",
    "import runpy, sys; sys.modules['debugpy.server'] = None; "
    "runpy.run_module('ipykernel_launcher', run_name='__main__', alter_sys=True)",
]


def _without_debugger(command: list[str]) -> list[str]:
    """Return the command of ipykernel's own kernelspec without debugpy; any other unchanged."""
    python, launcher, rest = command[:1], command[1:3], command[3:]
    return [*python, *_LAUNCHED_WITHOUT_DEBUGGER, *rest] if launcher == _LAUNCHER else command


class LocalKernelManager(KernelManager):
    """jupyter_client's manager, which starts ipykernel faster and without a history file.

    Its clients share its ZeroMQ context, whose options are set there. By default, a client creates
    a context of its own.
    """

    give_up: Callable[[], bool] = staticmethod(lambda: False)

    def client(self, **kwargs: Any) -> BlockingKernelClient:
        return super().client(context=self.context, **kwargs)

    def probes(self) -> tuple[ProbeSocket, ProbeSocket]:
        """Open probes of the kernel's control channel and its heartbeat."""
        session = self.session

        def info_request() -> list[bytes]:
            return list(session.serialize(session.msg("kernel_info_request")))

        control = ProbeSocket(self.connect_control(), info_request)
        return control, ProbeSocket(self.connect_hb(), lambda: [b"ping"])

    def adopt(self, process: Any) -> None:
        """Manage a running kernel: the one of the connection file.

        `process` has the interface of subprocess.Popen, as far as jupyter_client uses it.
        """
        self.load_connection_file()
        provisioner: Any = KernelProvisionerFactory.instance().create_provisioner_instance(
            self.kernel_id, self.kernel_spec, self
        )
        provisioner.process, provisioner.pid = process, process.pid
        provisioner.pgid = None if process.is_foreign else os.getpgid(process.pid)
        self.provisioner = provisioner

    def launch_with(self, launch: Launch) -> None:
        """Start the kernel's process by `launch`, which returns a process as `adopt` takes it."""
        self.provisioner = _CustomLaunch(launch, kernel_spec=self.kernel_spec, parent=self)

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        command = _without_debugger(super().format_kernel_cmd(extra_arguments))
        if any("ipykernel" in word for word in command):
            command.append("--HistoryManager.hist_file=:memory:")
            command.append("--IPythonKernel._execute_sleep=0")
        return command


class _CustomLaunch(LocalProvisioner):
    """jupyter_client's provisioner, with another way to start the process."""

    def __init__(self, launch: Launch, **named: Any) -> None:
        super().__init__(**named)
        self._launch = launch

    async def launch_kernel(self, cmd: list[str], **named: Any) -> KernelConnectionInfo:
        self.process = self._launch(cmd, named["env"], named["cwd"])
        self.pid = self.process.pid
        return self.connection_info


def manager(
    name: str, directory: Path, context: zmq.Context[Any], *, encrypted: bool = False
) -> LocalKernelManager:
    """Return a manager for the kernelspec `name`, with connection file and sockets in `directory`.

    `encrypted` is for a kernel of another Unix user, who can't enter `directory`. Such a kernel
    uses TCP, where any user could listen to iopub and connect to shell. CurveZMQ prevents that; its
    keys are in the connection file.
    """
    spec = find_kernelspec(name)
    ipc = _speaks_ipc(spec) and starts_here(spec) and not encrypted
    made = LocalKernelManager(
        kernel_name=name,
        kernel_spec_manager=KernelspecFinder(),
        transport="ipc" if ipc else "tcp",
        transport_encryption="required" if encrypted else "disabled",
        connection_file=str(directory / "kernel.json"),
        context=context,
    )
    made.client_factory = KernelClient
    return made


def check_encryption(name: str) -> None:
    """Check that the kernelspec `name` supports encryption.

    Raises:
        RunbookError: the kernelspec does not say so.
    """
    supported = find_kernelspec(name).metadata.get("supported_encryption") or []
    if "curve" not in ([supported] if isinstance(supported, str) else supported):
        raise RunbookError(
            f"the kernel {name!r} can't run as another Unix user: its kernelspec does not say that "
            'it encrypts ("metadata": {"supported_encryption": ["curve"]}, as ipykernel 7.3 and '
            "later write it), and unencrypted all users of this machine could listen to it"
        )


def python_for(name: str) -> str:
    """Return the kernel's own Python, by its path, or else this process's Python.

    Whoever can run the kernel can run the first one.
    """
    program = find_kernelspec(name).argv[0]
    own = re.fullmatch(r"python[\d.]*", Path(program).name) and Path(program).is_absolute()
    return program if own else sys.executable


def _speaks_ipc(spec: KernelSpec) -> bool:
    """Return True if the kernel is known to support ipc. Other kernels may support only TCP.

    Over ipc, no port is open to other users of the machine.
    """
    return any(known in word for word in spec.argv for known in _IPC_KERNELS)
