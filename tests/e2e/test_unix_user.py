"""Roles with another Unix user, started by an operator who is not root."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from nbrun.core import events as ev
from tests.support.build_notebooks import code
from tests.support.other_users import OtherUsers
from tests.support.sts_server import Sts
from tests.support.terminal import TELL_PID, Desk, files_below, is_gone, kernels, wait_until

REASON = "reason (Enter for none, Ctrl-C to go back):"
ROLE = """
[roles.dba]
unix_user = "{user}"
env = {{ PGHOST = "$(id) 'x'" }}
env_from_cmd = {{ PGPASSWORD = "cat password" }}
"""
SECRET = "c4n4ry-c4n4ry"
WHO = (
    "import getpass, os; print(getpass.getuser(), os.getcwd(), os.environ['HOME'], "
    "os.environ['PGHOST'], os.environ['PGPASSWORD'], {'LEFT', 'SUDO_USER'} & {*os.environ})"
)
WAIT = (
    "import os, time; open('/tmp/{user}-began', 'w').close()\n"
    "while not os.path.exists('/tmp/{user}-go'): time.sleep(0.05); print('to the operator alone')"
)


class Operators(Desk):
    """A desk of an operator who is not root, in a folder that other users can traverse."""

    def __init__(self, folder: Path, users: OtherUsers) -> None:
        super().__init__(folder)
        self.users = users
        self.nbrun = [*users.as_operator(), users.python, "-m", "nbrun"]
        self.variables = users.variables | {"USER": users.operator, "LEFT": "behind"}
        (folder / "password").write_text(SECRET)
        self._give_away()
        self.configure(ROLE.format(user=users.user))

    def _give_away(self) -> None:
        for path in (self.folder, *self.folder.rglob("*")):
            shutil.chown(path, self.users.operator)
        (self.folder / "password").chmod(0o600)

    def leftover_directories(self) -> list[Path]:
        """Return the kernels' directories that are left in the temporary folder."""
        owned = {pwd.getpwnam(name).pw_uid for name in (self.users.operator, self.users.user)}
        found = Path("/tmp").glob("nbrun-kernel-*")
        return [path for path in found if path.stat().st_uid in owned]


@pytest.fixture
def desk(other_users: OtherUsers) -> Iterator[Operators]:
    folder = Path(tempfile.mkdtemp(prefix="nbrun-desk-", dir="/tmp"))
    folder.chmod(0o755)
    made = Operators(folder, other_users)
    yield made
    made.close()
    wait_until(lambda: not other_users.processes())
    for left in (folder, *made.leftover_directories()):
        shutil.rmtree(left)
    for path in Path("/tmp").glob(f"{other_users.user}-*"):
        path.unlink()


def as_nobody(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        words, user="nobody", group="nogroup", extra_groups=[], capture_output=True, check=False
    )


def received_without_keys(connection: dict[str, object]) -> list[bytes]:
    """Return what any user of the machine can receive from the kernel's iopub socket."""
    context = zmq.Context()
    listener = context.socket(zmq.SUB)
    listener.subscribe("")
    listener.linger = 0
    listener.connect(f"tcp://127.0.0.1:{connection['iopub_port']}")
    heard = [listener.recv()] if listener.poll(1000) else []
    context.destroy()
    return heard


def test_kernel_runs_as_the_user_and_third_users_cannot_reach_it(desk: Operators) -> None:
    user = desk.users.user
    desk.book(
        code(WHO, id="who"),
        code(WAIT.format(user=user), id="wait"),
        code("!echo $PGPASSWORD; whoami", id="leak"),
    )
    running = desk.begin("--role", "dba", "--kernel", "shared")
    wait_until(lambda: Path(f"/tmp/{user}-began").exists())
    (theirs,) = (path for path in desk.leftover_directories() if path.owner() == user)
    (kept,) = (path for path in desk.leftover_directories() if path.owner() != user)
    assert theirs.name.startswith(kept.name)
    for folder, owner in ((theirs, user), (kept, desk.users.operator)):
        assert (folder.owner(), folder.stat().st_mode & 0o777) == (owner, 0o700)
        assert as_nobody("ls", str(folder)).returncode != 0
    connection = theirs / "kernel.json"
    assert (connection.owner(), connection.stat().st_mode & 0o777) == (user, 0o600)
    told = json.loads(connection.read_text())
    seen = subprocess.check_output(["ps", "-eww", "-o", "args="], text=True)
    assert all(secret not in seen for secret in (SECRET, told["key"], told["curve_publickey"]))
    assert received_without_keys(told) == []
    Path(f"/tmp/{user}-go").touch()
    ended = running.communicate()[0]
    assert running.returncode == 0, ended
    home = f"/home/{user}"
    assert desk.printed("who") == (
        f"{user} {desk.folder} {home} $(id) 'x' [secret:PGPASSWORD] set()\n"
    )
    assert desk.printed("leak") == f"[secret:PGPASSWORD]\r\n{user}\r\n"
    assert desk.leftover_directories() == []
    wait_until(lambda: not desk.users.processes())
    assert all(SECRET.encode() not in data for _, data in files_below(desk.runs))
    role = desk.events(ev.RunStarted)[0].role
    assert role is not None
    assert role.keys == {"unix_user": user}
    (identity,) = role.identities
    assert (identity.kind, identity.who) == ("unix", user)
    assert desk.events(ev.KernelStarted)[0].identities == (identity,)
    assert f"acts as Unix user {user}" in " ".join(ended.split())


@pytest.mark.sweep
def test_other_users_kernel_is_interrupted_killed_and_restarted(desk: Operators) -> None:
    desk.book(
        code(TELL_PID + "import time; time.sleep(600)", id="asleep"),
        code(TELL_PID + "import os, time; time.sleep(0 if os.environ.get('HOME') else 9)", id="b"),
        code("import os; os._exit(3)", id="dies"),
    )
    terminal = desk.start("--role", "dba", "--kernel", "shared")
    pid = terminal.kernel()
    os.kill(pid, signal.SIGSTOP)
    terminal.until("something stopped its process")
    os.kill(pid, signal.SIGCONT)
    terminal.until("continues")
    terminal.press("ctrl-c")
    terminal.until("interrupted ·")
    terminal.answer("step 1>", "k")
    terminal.answer(REASON, "")
    terminal.until("a new kernel is ready")
    assert is_gone(pid)
    terminal.answer("step 1>", "r")
    terminal.answer(REASON, "")
    again = terminal.kernel()
    terminal.press("ctrl-c")
    terminal.until("interrupted ·")
    terminal.answer("step 1>", "s")
    terminal.answer(REASON, "")
    terminal.until("the kernel process ended with status 3")
    assert is_gone(again)
    terminal.answer("step 3>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert len(desk.events(ev.KernelSuspended)) == 1
    restarted = desk.events(ev.KernelRestarted)[0]
    assert restarted.identities == desk.events(ev.KernelStarted)[0].identities
    assert desk.leftover_directories() == []


def test_unresponsive_kernel_of_another_user_is_killed(desk: Operators) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + TELL_PID
    desk.book(code(deaf + "while True: time.sleep(1)", id="deaf"))
    terminal = desk.start("--role", "dba", "--kernel", "shared")
    pid = terminal.kernel()
    terminal.press("ctrl-c")
    terminal.until("interrupting the step")
    terminal.press("ctrl-c")
    terminal.answer("kill the kernel? [y/N]", "y")
    terminal.until("the kernel was killed, as asked")
    assert is_gone(pid)
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert desk.leftover_directories() == []


@pytest.mark.sweep
def test_resume_finds_the_kernel_of_another_user(desk: Operators) -> None:
    desk.book(
        code("kept = 41", id="first"),
        code(WAIT.format(user=desk.users.user), id="work"),
        code("print('kept:', kept)", id="last"),
    )
    terminal = desk.start("--role", "dba", "--kernel", "shared")
    wait_until(lambda: Path(f"/tmp/{desk.users.user}-began").exists())
    desk.kill_supervisor()
    assert terminal.wait() == 6
    assert "its kernel is still alive" in desk.command("runs").stdout
    terminal = desk.open("resume")
    terminal.until("the kernel is still there, with its variables")
    Path(f"/tmp/{desk.users.user}-go").touch()
    terminal.until("it ran to its end, without an error")
    terminal.answer("did step 2 happen?", "happened")
    terminal.answer(REASON, "")
    terminal.until("kept: 41")
    assert terminal.wait() == 0
    assert desk.leftover_directories() == []
    assert is_gone(kernels(desk.run)[0].pid)
    role = desk.events(ev.RunResumed)[0].role
    assert role is not None
    assert role.identities == desk.events(ev.KernelStarted)[0].identities


def test_sudo_refusal_starts_nothing(desk: Operators) -> None:
    desk.book(code())
    desk.users.forbid()
    try:
        ended = desk.unattended("--role", "dba", "--kernel", "shared")
    finally:
        desk.users.allow()
    assert ended.returncode == 2
    assert f"the role dba: unix_user: sudo as {desk.users.user}: " in ended.stderr
    assert "without a password" in ended.stderr
    assert not desk.runs.exists()
    assert desk.leftover_directories() == []


@pytest.mark.sweep
def test_step_is_interrupted_even_after_sudo_is_revoked(
    desk: Operators,
) -> None:
    desk.book(code(TELL_PID + "import time; time.sleep(600)", id="asleep"))
    terminal = desk.start("--role", "dba", "--kernel", "shared")
    terminal.kernel()
    desk.users.forbid()
    try:
        terminal.press("ctrl-c")
        terminal.until("interrupted ·")
    finally:
        desk.users.allow()
    terminal.answer("step 1>", "c")
    terminal.answer("end the run here? [y/N]", "y")
    terminal.answer(REASON, "")
    assert terminal.wait() == 5
    assert desk.leftover_directories() == []


ALL = """
[roles.all]
unix_user = "{user}"
inherit = ["AWS_ENDPOINT_URL_STS"]
env = {{ PGHOST = "db1" }}
aws_role_arn = "arn:aws:iam::123456789012:role/dba"
kube_context = "prod"
"""
KUBECONFIG = """
contexts: [{name: prod, context: {cluster: blue, user: ada}}]
clusters: [{name: blue, cluster: {server: "https://blue.example.com"}}]
users: [{name: ada, user: {tokenFile: token}}]
"""
AS_WHOM = """import boto3, getpass, json, os, pathlib, time
keys = boto3.Session().get_credentials()
first = keys.get_frozen_credentials().secret_key
arn = boto3.client('sts').get_caller_identity()['Arn']
config = json.loads(pathlib.Path(os.environ['KUBECONFIG']).read_text())
print(getpass.getuser(), arn, os.environ['PGHOST'], config['users'][0]['user'])
while keys.get_frozen_credentials().secret_key == first: time.sleep(0.05)
"""


@pytest.mark.sweep
def test_role_keys_combine_and_survive_a_kernel_restart(desk: Operators, sts: Sts) -> None:
    sts.lifetime = 12.0
    desk.configure(ALL.format(user=desk.users.user))
    for name, text in (("kubeconfig", KUBECONFIG), ("token", SECRET)):
        (desk.folder / name).write_text(text)
        shutil.chown(desk.folder / name, desk.users.operator)
        (desk.folder / name).chmod(0o600)
    desk.variables |= sts.variables() | {"KUBECONFIG": str(desk.folder / "kubeconfig")}
    desk.book(code(AS_WHOM, id="who"))
    terminal = desk.start("--role", "all", "--kernel", "shared", "--step", columns=200)
    terminal.prompted("step 1>")
    ready = int(time.time())
    terminal.until(lambda: int(time.time()) > ready)  # a session's end is told in whole seconds
    terminal.type("k")
    terminal.answer(REASON, "")
    terminal.until("a new kernel is ready")
    terminal.answer("step 1>", "r")
    assert terminal.wait() == 3
    arn = f"arn:aws:sts::123456789012:assumed-role/dba/{desk.users.operator}@{desk.run.name}"
    told = f"{desk.users.user} {arn} db1 {{'token': '[secret:KUBE_TOKEN_FILE]'}}\n"
    assert desk.printed("who") == told
    (started,), (restarted,) = map(desk.events, (ev.KernelStarted, ev.KernelRestarted))
    assert [each.kind for each in restarted.identities] == ["unix", "aws", "kubernetes"]
    assert restarted.identities[1].until > started.identities[1].until
    assert {event.generation for event in desk.events(ev.RoleRefreshed)} >= {2}
    kept = b"".join(data for _, data in files_below(desk.runs)) + terminal.raw
    assert not [each for each in (SECRET, *sts.issued) if each.encode() in kept]
    assert desk.leftover_directories() == []
