"""Where the gateways are installed: one virtual environment for each list of packages."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("current", "enterprise")
# A cache of your own, for example in CI; by default a folder that git ignores.
PARENT = Path(os.environ.get("NBRUN_TEST_GATEWAYS") or HERE.parent.parent / ".gateways")


def folder(name: str) -> Path:
    """Return the environment's folder, which is another one when its packages change."""
    packages = (HERE / f"{name}.txt").read_bytes()
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return PARENT / f"{name}-{version}-{hashlib.sha256(packages).hexdigest()[:12]}"


def is_installed(name: str) -> bool:
    return (folder(name) / "installed").is_file()


def install(name: str) -> None:
    """Install an environment, unless that was done before."""
    if is_installed(name):
        return
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder(name))], check=True)
    pip = [str(folder(name) / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    # The constraints of CI are of nbrun's own environment.
    env = {key: value for key, value in os.environ.items() if key != "PIP_CONSTRAINT"}
    subprocess.run([*pip, "-r", str(HERE / f"{name}.txt")], check=True, env=env)
    (folder(name) / "installed").touch()
