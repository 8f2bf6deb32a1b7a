"""Code that runs as another Unix user, through sudo: it starts, signals and ends a kernel.

`sudo` sends this file as text on stdin, with a request in JSON on the next line, and reads an
answer in JSON from stdout. So nothing of a request is in the arguments or the environment of a
process, where other users could read it. This file must not import nbrun, which that user's Python
need not have.
"""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Tuple  # noqa: UP035  that user's Python may be an old one

_STATUS, _OUTPUT = "status", "output"
_MOST = 2**20  # bytes of a file in the kernel's directory, where the kernel can write what it likes
_STATUS_TIMEOUT = 5.0  # seconds for the parent of an ended kernel to write its exit status

Request = Dict[str, Any]  # noqa: UP006


def identify(request: Request) -> Request:
    """Return this user's account. Fail if it can't enter the kernel's working folder."""
    import grp
    import pwd

    account = pwd.getpwuid(os.getuid())
    names = []
    for gid in sorted({os.getgid(), *os.getgroups()}):
        try:
            names.append(grp.getgrgid(gid).gr_name)
        except KeyError:
            names.append(str(gid))
    os.chdir(request["cwd"])
    return {
        "user": account.pw_name,
        "uid": os.getuid(),
        "groups": names,
        "home": account.pw_dir,
        "shell": account.pw_shell,
    }


def start(request: Request) -> Request:
    """Create the kernel's directory, for this user alone, and start the kernel.

    A parent process, which outlives sudo, waits for the kernel's end.
    """
    folder = Path(request["folder"])
    folder.mkdir(mode=0o700)  # fails if it exists: another user could own it
    try:
        write(request)
        answer = _start_parent(request)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if "error" in answer:
        shutil.rmtree(folder, ignore_errors=True)
    return answer


def write(request: Request) -> Request:
    """Write `files` into the directory, each replaced as a whole."""
    for name, text in request["files"].items():
        path = Path(request["folder"], name)
        fresh = path.with_name(name + ".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    return {}


def read(request: Request) -> Request:
    """Return the texts of those of the files `names` that exist."""
    paths = [Path(request["folder"], name) for name in request["names"]]
    texts = {path.name: end_of(path)[0].decode("utf-8") for path in paths if path.exists()}
    return {"files": texts}


def send(request: Request) -> Request:
    """Send a signal to the kernel's process group."""
    if _is_kernel_alive(request):
        os.killpg(os.getpgid(request["pid"]), request["signal"])
    return {}


def status(request: Request) -> Request:
    """Return the kernel's exit status, as its parent wrote it, or a negative signal number."""
    path = Path(request["folder"], _STATUS)
    deadline = time.monotonic() + _STATUS_TIMEOUT
    while path.parent.is_dir() and time.monotonic() < deadline:
        if path.exists():
            return {"status": int(end_of(path)[0])}
        time.sleep(0.01)
    return {"status": None}


def clear(request: Request) -> Request:
    """Kill the kernel if it is alive, remove its directory, and return its stdout and stderr.

    The output is text with one character for each byte: its end, if it is long. `left_out` counts
    the bytes before.
    """
    if _is_kernel_alive(request):
        os.killpg(os.getpgid(request["pid"]), 9)
    output, left_out = end_of(Path(request["folder"], _OUTPUT))
    shutil.rmtree(request["folder"], ignore_errors=True)
    return {"output": output.decode("latin-1"), "left_out": left_out}


def end_of(path: Path) -> Tuple[bytes, int]:  # noqa: UP006
    """Return the last bytes of a file, at most _MOST, and how many are before them.

    What is not a regular file is empty: a pipe would never end.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b"", 0
    try:
        about = os.fstat(fd)
        if not stat.S_ISREG(about.st_mode):
            return b"", 0
        left_out = max(0, about.st_size - _MOST)
        os.lseek(fd, left_out, os.SEEK_SET)
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read(_MOST), left_out
    finally:
        os.close(fd)


def _is_kernel_alive(request: Request) -> bool:
    """Return True if the process is the kernel: its arguments contain the directory's path."""
    pid = request["pid"]
    if pid <= 0:
        return False
    try:
        words = Path("/proc", str(pid), "cmdline").read_bytes()
    except FileNotFoundError:
        if Path("/proc/self").is_dir():
            return False
        command = ["/bin/ps", "-ww", "-o", "args=", "-p", str(pid)]
        words = subprocess.run(command, stdout=subprocess.PIPE, check=False).stdout  # noqa: S603
    return os.fsencode(request["folder"]) in words


def _start_parent(request: Request) -> Request:
    """Fork the kernel's parent, and return its answer: the kernel's process id, or an error."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.close(reading)
            os.setsid()
            _be_parent(request, os.fdopen(writing, "w", encoding="ascii"))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as pipe:
        text = pipe.read()
    answer: Request = json.loads(text or '{"error": "its keeper ended at once"}')
    return answer


def _be_parent(request: Request, pipe: Any) -> None:
    """Start the kernel, answer to `pipe`, and write the kernel's exit status when it has ended."""
    folder = request["folder"]
    output = os.open(str(Path(folder, _OUTPUT)), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, fd in ((0, nothing), (1, output), (2, output)):
        os.dup2(fd, number)
    try:
        kernel = subprocess.Popen(  # noqa: S603  what nbrun asks for
            request["argv"], env=request["env"], cwd=request["cwd"], start_new_session=True
        )
    except OSError as error:
        json.dump({"error": _message(error)}, pipe)
        pipe.close()
        return
    json.dump({"pid": kernel.pid}, pipe)
    pipe.close()
    write({"folder": folder, "files": {_STATUS: str(kernel.wait())}})


def _message(error: OSError) -> str:
    return ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)


_DO: Dict[str, Callable[[Request], Request]] = {  # noqa: UP006
    each.__name__: each for each in (identify, start, write, read, send, status, clear)
}


def main() -> None:
    """Answer the request on the next line of stdin."""
    request = json.loads(sys.stdin.readline())
    try:
        answer = _DO[request["do"]](request)
    except OSError as error:
        answer = {"error": _message(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
