"""A git repository for tests, whatever git's settings on this machine are."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

_AUTHOR = ("-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgSign=false")


class Repository:
    """A repository in `folder`, whose branch is called `main`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        """Run git in the folder, and return what it prints."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        done = subprocess.run(
            ["git", *_AUTHOR, "-C", str(self.folder), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=kept | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        )
        return done.stdout.strip()

    def commit(self, name: str, content: bytes) -> str:
        """Write and commit the file `name`, and return the commit."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.git("--literal-pathspecs", "add", "--force", "--", name)
        self.git("commit", "--quiet", "--message", f"Change {name}")
        return self.git("rev-parse", "HEAD")
