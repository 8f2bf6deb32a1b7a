"""jupyter_client's own classes as nbrun needs them: which kernels there are, how one is launched
and waited for."""

import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.paths import jupyter_path

from nbrun.errors import RunbookError

STARTUP_TIMEOUT = 60.0  # seconds
_PATIENCE = 0.2  # seconds for iopub to answer before the kernel is asked again


def find_kernelspec(name: str | None) -> KernelSpec:
    """The installed kernelspec of that name.

    Raises:
        RunbookError: there is none, or no name was given; the message lists what is installed.
    """
    specs = Specs()
    if not name:
        raise RunbookError(
            f"the notebook names no kernel: choose one with --kernel ({_installed(specs)})"
        )
    try:
        return specs.get_kernel_spec(name)
    except NoSuchKernel:
        raise RunbookError(
            f"no kernel named {name!r} is installed: choose one with --kernel ({_installed(specs)})"
        ) from None


def _installed(specs: KernelSpecManager) -> str:
    return "installed: " + (", ".join(sorted(specs.find_kernel_specs())) or "none")


class Specs(KernelSpecManager):
    """jupyter_client's way to kernelspecs, without all of IPython, which that imports to learn of
    one folder, where IPython 2 had them."""

    def _kernel_dirs_default(self) -> list[str]:
        ipython = Path(os.environ.get("IPYTHONDIR") or "~/.ipython").expanduser()
        return [*jupyter_path("kernels"), str(ipython / "kernels")]


class Client(BlockingKernelClient):
    """jupyter_client's client, with a way to wait that does not end in 0.2 s of silence, and that
    waits for stdin too: a kernel drops a question to a socket that is not connected yet."""

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
        """Come back when the kernel answers, iopub is heard and stdin is connected.

        Raises:
            RuntimeError: the process ended, or `timeout` seconds passed.
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
            if not asked or (shell not in silent and now - asked > _PATIENCE):
                self.kernel_info()
                asked = now
            for socket, _ in poller.poll(50):
                poller.unregister(socket)
                silent.discard(socket)
        self._join_stdin(deadline)

    def wait_until_heard(self, is_alive: Callable[[], bool], give_up: Callable[[], bool]) -> None:
        """Come back when a kernel that is at work answers on its control channel, and iopub is
        heard. No message of iopub or shell is taken.

        Raises:
            RuntimeError: the process ended, or `give_up` said so.
        """
        poller = zmq.Poller()
        silent = {self.control_channel.socket, self.iopub_channel.socket}
        for socket in silent:
            poller.register(socket, zmq.POLLIN)
        asked = 0.0
        while silent:
            if not is_alive():
                raise RuntimeError("its process is gone")
            if give_up():
                raise RuntimeError("it did not answer, and the operator gave up waiting")
            if time.monotonic() - asked > _PATIENCE * 5:
                self.control_channel.send(self.session.msg("kernel_info_request"))
                asked = time.monotonic()
            for socket, _ in poller.poll(50):
                poller.unregister(socket)
                silent.discard(socket)

    def _join_stdin(self, deadline: float) -> None:
        """With ZMQ_IMMEDIATE a socket takes a message only when it is connected."""
        self.context.setsockopt(zmq.IMMEDIATE, 1)
        stdin: Any = self.stdin_channel.socket
        self.stdin_channel.start()
        if not stdin.poll(max(0, deadline - time.monotonic()) * 1000, zmq.POLLOUT):
            raise RuntimeError("its stdin channel can't be reached")


class Line:
    """A socket of a kernel's to ask the same thing on now and then, and look for the answer.
    Nothing is asked twice before it is answered, so that nothing piles up at one that is stuck."""

    def __init__(self, socket: Any, question: Callable[[], list[bytes]]) -> None:
        self._socket = socket
        self._question = question
        self._unsent = False
        self._open = False

    def ask(self) -> None:
        self._take()
        self._unsent = not self._open
        self._open = True
        self._send()

    def answered(self) -> bool:
        """Whether what was asked last has been answered. Never waits."""
        self._send()
        self._take()
        return not self._open

    def _send(self) -> None:
        """One that is not connected yet takes nothing."""
        if self._unsent:
            with suppress(zmq.Again):
                self._socket.send_multipart(self._question(), zmq.NOBLOCK)
                self._unsent = False

    def _take(self) -> None:
        with suppress(zmq.Again):
            while self._open and not self._unsent:
                self._socket.recv_multipart(zmq.NOBLOCK)
                self._open = False


# debugpy takes a fifth of a kernel's start, and nobody attaches a debugger to a step. It has
# no option: ipykernel does without where its import fails. The prelude lets cells import it again.
_LAUNCHER = ["-m", "ipykernel_launcher"]
_LAUNCHED_WITHOUT_DEBUGGER = [
    "-c",
    "import runpy, sys; sys.modules['debugpy.server'] = None; "
    "runpy.run_module('ipykernel_launcher', run_name='__main__', alter_sys=True)",
]


def _without_debugger(command: list[str]) -> list[str]:
    """The command of ipykernel's own kernelspec, with its debugger left out; any other as it is."""
    python, launcher, rest = command[:1], command[1:3], command[3:]
    return [*python, *_LAUNCHED_WITHOUT_DEBUGGER, *rest] if launcher == _LAUNCHER else command


class Manager(KernelManager):
    """jupyter_client's manager, with what makes an ipykernel quicker and leaves no trace, and whose
    client has its context, with the options set there: by itself a client makes its own."""

    give_up: Callable[[], bool] = staticmethod(lambda: False)

    def client(self, **kwargs: Any) -> BlockingKernelClient:
        return super().client(context=self.context, **kwargs)

    def lines(self) -> tuple[Line, Line]:
        """To the kernel's control channel and its heartbeat."""
        session = self.session

        def question() -> list[bytes]:
            return list(session.serialize(session.msg("kernel_info_request")))

        return Line(self.connect_control(), question), Line(self.connect_hb(), lambda: [b"ping"])

    def adopt(self, process: Any) -> None:
        """Be the manager of the kernel whose connection file this is, and whose process, like
        subprocess.Popen, `process` is."""
        self.load_connection_file()
        provisioner = LocalProvisioner(kernel_spec=self.kernel_spec, parent=self)
        provisioner.process, provisioner.pid = process, process.pid
        provisioner.pgid = None if process.is_foreign else os.getpgid(process.pid)
        self.provisioner = provisioner

    def launch_by(self, launch: Callable[[list[str], dict[str, str], str], Any]) -> None:
        """Have `launch` start the kernel's process, by its arguments, environment and folder; it
        gives back what `adopt` takes."""
        self.provisioner = _Launched(launch, kernel_spec=self.kernel_spec, parent=self)

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        command = _without_debugger(super().format_kernel_cmd(extra_arguments))
        if any("ipykernel" in word for word in command):
            command.append("--HistoryManager.hist_file=:memory:")
            command.append("--IPythonKernel._execute_sleep=0")
        return command


class _Launched(LocalProvisioner):
    """jupyter_client's own provisioner, but for how the process comes to be."""

    def __init__(
        self, launch: Callable[[list[str], dict[str, str], str], Any], **named: Any
    ) -> None:
        super().__init__(**named)
        self._launch = launch

    async def launch_kernel(self, cmd: list[str], **named: Any) -> KernelConnectionInfo:
        self.process = self._launch(cmd, named["env"], named["cwd"])
        self.pid = self.process.pid
        return self.connection_info


def manager(
    name: str, directory: Path, context: zmq.Context[Any], *, encrypted: bool = False
) -> Manager:
    """A manager for the kernelspec `name`, whose connection file and sockets lie in `directory`.

    `encrypted`: for a kernel of another Unix user, which can't enter that folder. It speaks TCP,
    where others could listen to iopub and connect to shell, and so by CurveZMQ, whose keys are in
    the connection file.
    """
    ipc = _speaks_ipc(find_kernelspec(name)) and not encrypted
    made = Manager(
        kernel_name=name,
        kernel_spec_manager=Specs(),
        transport="ipc" if ipc else "tcp",
        transport_encryption="required" if encrypted else "disabled",
        connection_file=str(directory / "kernel.json"),
        context=context,
    )
    made.client_factory = Client
    return made


def check_encryption(name: str) -> None:
    """Raises RunbookError when the kernelspec does not say that its kernel can encrypt."""
    said = find_kernelspec(name).metadata.get("supported_encryption") or []
    if "curve" not in ([said] if isinstance(said, str) else said):
        raise RunbookError(
            f"the kernel {name!r} can't run as another Unix user: its kernelspec does not say that "
            'it encrypts ("metadata": {"supported_encryption": ["curve"]}, as ipykernel 7.3 and '
            "later write it), and unencrypted all users of this machine could listen to it"
        )


def python_of(name: str) -> str:
    """A Python that whoever runs this kernel can run: the kernel's own if it has one."""
    program = find_kernelspec(name).argv[0]
    own = re.fullmatch(r"python[\d.]*", Path(program).name) and Path(program).is_absolute()
    return program if own else sys.executable


def _speaks_ipc(spec: KernelSpec) -> bool:
    """Whether the kernel is built on ipykernel. Others may know TCP only; over ipc no port is
    open to other users of the machine."""
    return any("ipykernel" in word or "bash_kernel" in word for word in spec.argv)
