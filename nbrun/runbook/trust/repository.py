"""Questions to the git repository that a runbook lies in. git runs nothing that it configures.

The repository may be anybody's: a clone, or a folder that a colleague can write. These measures
keep its configuration from running programs, and its contents from posing as a repository:

- The environment's `GIT_*` variables are removed: they can name another repository.
- Hooks and the file system monitor are off. Only commands without filters, text conversions,
  pagers and signature programs are used.
- No object is fetched: a partial clone names programs that fetch (`uploadpack`, `sshCommand`).
- A bare repository inside a working tree, which a commit can contain, is not one.
- git itself refuses a repository of another account, unless this user lists it (`safe.directory`).
- Replaced objects, grafts and the commit graph are not believed: they can redraw the history.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from nbrun.errors import RepositoryError

TIMEOUT = 30.0  # seconds for one question; a long history takes some
_BRANCH = re.compile(r"\w[\w./+-]*", re.ASCII)
_PLACES = ("refs/heads/", "refs/remotes/")
_OPTIONS = (
    "--no-pager",
    "--literal-pathspecs",
    *("-c", "core.fsmonitor=false"),
    *("-c", f"core.hooksPath={os.devnull}"),
    *("-c", "core.commitGraph=false"),
    *("-c", "safe.bareRepository=explicit"),
)
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "none",  # takes precedence over the repository's `protocol.*.allow`
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_GRAFT_FILE": os.devnull,
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def is_branch_name(name: str) -> bool:
    """Return True if `name` can name a branch: `main`, `origin/main` or `refs/heads/main`."""
    return bool(_BRANCH.fullmatch(name)) and ".." not in name


def checked_out_commit(folder: Path) -> str | None:
    """Return the commit that is checked out at `folder`; None outside a repository of this user."""
    try:
        return _text(folder, "rev-parse", "--verify", "HEAD")
    except RepositoryError:
        return None


def commit_with(path: Path, data: bytes, branch: str) -> str:
    """Return a commit, reachable from `branch`, in which the file `path` has the bytes `data`.

    It is the branch's tip if that has them, else one that brought them in.

    Raises:
        RepositoryError: there is no such commit, or no repository that can be asked.
    """
    path = path.resolve()
    folder = path.parent
    name = _name_in_repository(folder, path.name)
    tip = _tip(folder, branch)
    if _content(folder, tip, name) == data:
        return tip
    for commit in _commits_with_blob(folder, tip, name, data):
        if _content(folder, commit, name) == data:  # the bytes themselves: SHA-1 has collisions
            return commit
    raise RepositoryError(f"no commit on {branch} has {name} with this content")


def _name_in_repository(folder: Path, name: str) -> str:
    """Return the path of the file `name` in `folder` from the top of the working tree."""
    places = _text(folder, "rev-parse", "--show-toplevel", "--show-prefix").split("\n")
    if len(places) != 2 or "\n" in name:
        raise RepositoryError("its path contains a line break")
    top, prefix = places
    if not Path(top, ".git").exists():  # a git older than 2.38 knows no `safe.bareRepository`
        raise RepositoryError(f"{top} is the working tree of a bare repository")
    return prefix + name


def _tip(folder: Path, branch: str) -> str:
    """Return the commit of a branch. A tag of that name does not count."""
    names = [branch] if branch.startswith("refs/") else [place + branch for place in _PLACES]
    found = {name: commit for name in names if (commit := _commit(folder, name))}
    if not found:
        raise RepositoryError(f"the repository has no branch {branch}")
    if len(found) > 1:
        raise RepositoryError(f"both {' and '.join(found)} exist: name one of them in full")
    return next(iter(found.values()))


def _commit(folder: Path, ref: str) -> str:
    try:
        return _text(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    except RepositoryError:
        return ""


def _content(folder: Path, commit: str, name: str) -> bytes | None:
    """Return the bytes of the file `name` in `commit`; None if it is not there."""
    try:
        return _git(folder, "cat-file", "blob", f"{commit}:{name}")
    except RepositoryError:
        return None


def _commits_with_blob(folder: Path, tip: str, name: str, data: bytes) -> list[str]:
    """Return the commits that changed `name` and left it with `data`, by git's own hash."""
    blob = _git(folder, "hash-object", "--no-filters", "--stdin", message=data).decode().strip()
    here = name.rpartition("/")[2]  # a literal pathspec starts at the folder that git runs in
    history = _git(folder, "rev-list", "--full-history", tip, "--", here)
    commits = history.decode("ascii").split()
    asked = os.fsencode("".join(f"{commit}:{name}\n" for commit in commits))
    answers = _git(folder, "cat-file", "--batch-check=%(objectname)", message=asked)
    ids = answers.decode("utf-8", "replace").split("\n")
    return [commit for commit, found in zip(commits, ids, strict=False) if found == blob]


def _text(folder: Path, *arguments: str) -> str:
    return os.fsdecode(_git(folder, *arguments)).removesuffix("\n")


def _git(folder: Path, *arguments: str, message: bytes = b"") -> bytes:
    """Run git in `folder`, and return its stdout."""
    program = shutil.which("git")
    if program is None:
        raise RepositoryError("git is not installed")
    inherited = {k: value for k, value in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603  fixed words, and names that begin with no dash
            [program, *_OPTIONS, "-C", str(folder), *arguments],
            input=message,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            env=inherited | _ENVIRONMENT,
        )
    except subprocess.TimeoutExpired:
        raise RepositoryError(f"git did not answer within {TIMEOUT:.0f} s") from None
    except OSError as error:
        raise RepositoryError(f"git can't be run: {error.strerror}") from error
    if done.returncode:
        raise RepositoryError(_reason(done.stderr.decode("utf-8", "replace"), done.returncode))
    return done.stdout


def _reason(printed: str, code: int) -> str:
    """Return git's own words, in one line, with the command that it recommends."""
    words = " ".join(printed.replace("\t", " ").split())
    return f"git: {words.removeprefix('fatal: ')}" if words else f"git: exit code {code}"
