"""Run a notebook over bare ZeroMQ sockets: `python -m benchmarks.peers.raw_loop NOTEBOOK`.

This is the least work that a runner can do. It starts the kernel with its default options, sends
one request after the other, counts the outputs and keeps none. The last line on stdout is a JSON
object: `characters` of stream text, and `displays`.

Source of the message format: "Messaging in Jupyter", jupyter-client.readthedocs.io.
"""

import hmac
import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

import msgspec
import zmq

_PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
_READY_TIMEOUT = 200  # milliseconds to wait on iopub before the next kernel_info_request
_DELIMITER = b"<IDS|MSG>"


class Kernel:
    """An ipykernel over ipc sockets in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._key = uuid.uuid4().hex
        address = str(folder / "kernel")
        connection = {
            **_PORTS,
            "ip": address,
            "transport": "ipc",
            "key": self._key,
            "signature_scheme": "hmac-sha256",
        }
        path = folder / "connection.json"
        path.write_text(json.dumps(connection))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ipykernel_launcher", "-f", str(path)]
        )
        self._context = zmq.Context()
        self._context.setsockopt(zmq.RCVHWM, 0)
        self._context.setsockopt(zmq.RECONNECT_IVL, 5)
        self._shell = self._context.socket(zmq.DEALER)
        self._shell.connect(f"ipc://{address}-1")
        self._iopub = self._context.socket(zmq.SUB)
        self._iopub.subscribe(b"")
        self._iopub.connect(f"ipc://{address}-2")
        self._header = {"session": uuid.uuid4().hex, "username": "", "version": "5.4", "date": ""}

    def wait_until_ready(self) -> None:
        """Wait until the kernel is ready and iopub delivers its messages."""
        while not self._iopub.poll(0):
            self.send("kernel_info_request", {})
            self._iopub.poll(_READY_TIMEOUT)

    def execute(self, source: str, counts: dict[str, int]) -> None:
        """Run `source` and add the number of its outputs to `counts`."""
        request = self.send("execute_request", {"code": source, "allow_stdin": False})
        pending = {"idle", "reply"}
        poller = zmq.Poller()
        poller.register(self._shell, zmq.POLLIN)
        poller.register(self._iopub, zmq.POLLIN)
        while pending:
            for socket, _ in poller.poll():
                kind, parent, content = self._receive(socket)
                if parent != request:
                    continue
                if kind == "execute_reply":
                    pending.discard("reply")
                elif kind == "status" and content["execution_state"] == "idle":
                    pending.discard("idle")
                elif kind == "stream":
                    counts["characters"] += len(content["text"])
                elif kind in ("display_data", "execute_result"):
                    counts["displays"] += 1

    def send(self, kind: str, content: dict[str, Any]) -> str:
        """Send a request and return its id."""
        header = {**self._header, "msg_id": uuid.uuid4().hex, "msg_type": kind}
        frames = [msgspec.json.encode(part) for part in (header, {}, {}, content)]
        digest = hmac.new(self._key.encode(), b"".join(frames), "sha256").hexdigest()
        self._shell.send_multipart([_DELIMITER, digest.encode(), *frames])
        return str(header["msg_id"])

    def _receive(self, socket: "zmq.Socket[bytes]") -> tuple[str, str, dict[str, Any]]:
        parts = socket.recv_multipart()
        header, parent, _, content = parts[parts.index(_DELIMITER) + 2 :][:4]
        kind = msgspec.json.decode(header)["msg_type"]
        request = msgspec.json.decode(parent).get("msg_id", "")
        return str(kind), str(request), msgspec.json.decode(content)

    def shutdown(self) -> None:
        """Shut the kernel down, and kill it if it does not end within 5 seconds."""
        self.send("shutdown_request", {"restart": False})
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._context.destroy(linger=0)


def main(path: str) -> None:
    """Run the notebook at `path` and print the number of its outputs."""
    cells = json.loads(Path(path).read_text("utf-8"))["cells"]
    counts = {"characters": 0, "displays": 0}
    with tempfile.TemporaryDirectory() as folder:
        kernel = Kernel(Path(folder))
        kernel.wait_until_ready()
        for cell in cells:
            kernel.execute(str(cell["source"]), counts)
        kernel.shutdown()
    print(json.dumps(counts))


if __name__ == "__main__":
    main(sys.argv[1])
