"""What a kernel finds in its environment with a role, and what the record says of it."""

import pytest

from nbrun import events as ev
from tests.build_notebooks import code
from tests.e2e.terminal import Desk, held_in

ROLE = """
[roles.dba]
inherit = ["TAKEN_OVER"]
env = { PGHOST = "$(id) {x}" }
env_from_cmd = { PGPASSWORD = "cat password" }
"""
SHOW = (
    "import os; print(*(os.environ.get(n) for n in ('TAKEN_OVER', 'PGHOST', 'PGPASSWORD', 'LEFT')))"
)


@pytest.fixture
def book(desk: Desk) -> Desk:
    (desk.folder / "nbrun.toml").write_text(ROLE)
    (desk.folder / "password").write_text("c4n4ry-c4n4ry\n")
    desk.variables |= {"TAKEN_OVER": "yes", "LEFT": "behind"}
    desk.book(
        code(SHOW, id="show"),
        code("print(len(os.environ['PGPASSWORD'])); import shutil; print(shutil.which('sh'))"),
        code("!echo $PGPASSWORD", id="leak"),
    )
    return desk


def test_a_kernel_has_the_environment_of_its_role(book: Desk) -> None:
    ended = book.unattended("--role", "dba")
    assert ended.returncode == 0, ended.stdout
    assert book.printed("show") == "yes $(id) {x} [secret:PGPASSWORD] None\n"
    assert "role       dba" in ended.stdout or "role     dba" in ended.stdout
    role = book.events(ev.RunStarted)[0].role
    assert role is not None
    assert (role.name, role.inherit) == ("dba", ("TAKEN_OVER",))
    assert role.env_from_cmd == ("PGPASSWORD",)
    assert all(b"c4n4ry" not in data for _, data in held_in(book.runs))
    assert "c4n4ry" not in ended.stdout


def test_without_a_role_a_kernel_has_the_environment_of_nbrun(book: Desk) -> None:
    book.unattended()
    assert book.printed("show") == "yes None None behind\n"
    assert book.events(ev.RunStarted)[0].role is None


@pytest.mark.parametrize(
    ("role", "said"), [("nobody", "there is no role 'nobody' in nbrun.toml (known: dba)")]
)
def test_a_role_that_there_is_not_starts_nothing(book: Desk, role: str, said: str) -> None:
    ended = book.unattended("--role", role)
    assert (ended.returncode, said in ended.stderr) == (2, True)
    assert not book.runs.exists()


def test_a_role_that_can_not_be_taken_starts_nothing(book: Desk) -> None:
    (book.folder / "password").unlink()
    ended = book.unattended("--role", "dba")
    assert ended.returncode == 2
    assert "the role dba, PGPASSWORD: cat password: ended with exit code 1" in ended.stderr
    assert not book.runs.exists()
