"""Runs as another Unix user, through sudo: starts that user's kernel, sends it signals, keeps its
files.

It is sent as text over stdin with a request in JSON on the line after it, and answers in JSON on
stdout (see `sudo`). It must not import nbrun, which that user's Python need not have. So nothing of
a request is ever in the arguments or the environment of a process, where others could see it.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict  # noqa: UP035  that user's Python may be an old one

_STATUS, _OUTPUT = "status", "output"
_PATIENCE = 5.0  # seconds that the keeper of a kernel that is gone has to say how it ended

Request = Dict[str, Any]  # noqa: UP006


def identify(request: Request) -> Request:
    """Who this is, and whether it can enter the folder that the kernel is to run in."""
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
    """Make the kernel's folder, for this user alone, and start the kernel. A keeper of its own,
    which outlives sudo, waits for its end."""
    folder = Path(request["folder"])
    folder.mkdir(mode=0o700)  # never one that was there before: it could be another's
    try:
        write(request)
        answer = _kept(request)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if "error" in answer:
        shutil.rmtree(folder, ignore_errors=True)
    return answer


def write(request: Request) -> Request:
    """Put `files` into the folder, each at once in whole."""
    for name, text in request["files"].items():
        path = Path(request["folder"], name)
        fresh = path.with_name(name + ".new")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        fresh.replace(path)
    return {}


def read(request: Request) -> Request:
    """The texts of those of the files `names` that the folder has."""
    found = [Path(request["folder"], name) for name in request["names"]]
    texts = {path.name: path.read_text(encoding="utf-8") for path in found if path.exists()}
    return {"files": texts}


def send(request: Request) -> Request:
    """Send a signal to the kernel's process group."""
    if _is_there(request):
        os.killpg(os.getpgid(request["pid"]), request["signal"])
    return {}


def status(request: Request) -> Request:
    """How the kernel ended, as its parent saw it: an exit status or a negative signal's number."""
    path = Path(request["folder"], _STATUS)
    deadline = time.monotonic() + _PATIENCE
    while path.parent.is_dir() and time.monotonic() < deadline:
        if path.exists():
            return {"status": int(path.read_text(encoding="ascii"))}
        time.sleep(0.01)
    return {"status": None}


def clear(request: Request) -> Request:
    """End the kernel if it is there, remove its folder, and give what it wrote to its own stdout
    and stderr, a byte a character."""
    if _is_there(request):
        os.killpg(os.getpgid(request["pid"]), 9)
    try:
        output = Path(request["folder"], _OUTPUT).read_bytes().decode("latin-1")
    except FileNotFoundError:
        output = ""
    shutil.rmtree(request["folder"], ignore_errors=True)
    return {"output": output}


def _is_there(request: Request) -> bool:
    """Whether the process is the kernel still: its arguments name the folder."""
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


def _kept(request: Request) -> Request:
    """The answer of a new keeper: the kernel's process id, or why there is none."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            os.close(reading)
            os.setsid()
            _keep(request, os.fdopen(writing, "w", encoding="ascii"))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as pipe:
        told = pipe.read()
    answer: Request = json.loads(told or '{"error": "its keeper ended at once"}')
    return answer


def _keep(request: Request, told: Any) -> None:
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
        json.dump({"error": _told(error)}, told)
        told.close()
        return
    json.dump({"pid": kernel.pid}, told)
    told.close()
    write({"folder": folder, "files": {_STATUS: str(kernel.wait())}})


def _told(error: OSError) -> str:
    return ": ".join(str(part) for part in (error.filename, error.strerror) if part) or str(error)


_DO: Dict[str, Callable[[Request], Request]] = {  # noqa: UP006
    each.__name__: each for each in (identify, start, write, read, send, status, clear)
}


def main() -> None:
    """Answer the request that is the next line of stdin."""
    request = json.loads(sys.stdin.readline())
    try:
        answer = _DO[request["do"]](request)
    except OSError as error:
        answer = {"error": _told(error)}
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
