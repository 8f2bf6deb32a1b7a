"""The package as people install it: an sdist and a wheel that are complete and run elsewhere."""

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DATA = (
    "nbrun/py.typed",
    "nbrun/cli/commands/write/template.ipynb",
    "nbrun/cli/commands/write/template.md",
    "nbrun/views/export/templates/report.html",
    "nbrun/views/export/templates/report.css",
    "nbrun/views/render/templates/frame.js",
    "nbrun/views/render/templates/plotly-licence.txt",
    "nbrun/views/render/templates/vega-licence.txt",
)


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, to: Path) -> Path:
    """Build an "sdist" or a "wheel" from the tree `source` and return its path."""
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", to, cwd=source)
    (built,) = to.iterdir()
    return built


def modules() -> set[str]:
    return {str(path.relative_to(ROOT)) for path in (ROOT / "nbrun").rglob("*.py")}


def test_wheel_has_every_module_data_file_and_the_licence(tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", ROOT, tmp_path)) as wheel:
        names = set(wheel.namelist())
    assert {name for name in names if name.endswith(".py")} == modules()
    assert names >= {*DATA}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not {name for name in names if name.startswith(("tests/", "benchmarks/"))}


def test_sdist_has_what_a_wheel_is_built_from(tmp_path: Path) -> None:
    with tarfile.open(build("sdist", ROOT, tmp_path)) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= {*DATA, *modules(), "pyproject.toml", "README.md", "LICENSE"}
    assert names >= {"tests/test_package.py", "examples/disk-triage.ipynb", "docs/README.md"}


@pytest.mark.sweep
@pytest.mark.timeout(1500)
def test_wheel_built_from_sdist_runs_an_example_in_an_empty_environment(tmp_path: Path) -> None:
    """Outside the checkout, so that nothing but the installed files can be what runs."""
    for name in ("sdist", "unpacked", "wheel", "home", "elsewhere"):
        (tmp_path / name).mkdir()
    with tarfile.open(build("sdist", ROOT, tmp_path / "sdist")) as sdist:
        sdist.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    wheel = build("wheel", source, tmp_path / "wheel")
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", f"{wheel}[examples]", cwd=tmp_path)

    cwd = tmp_path / "elsewhere"
    home = {"HOME": str(tmp_path / "home"), "NBRUN_RUNS_DIR": str(tmp_path / "runs")}
    example = cwd / "disk-triage.ipynb"
    example.write_bytes((source / "examples" / "disk-triage.ipynb").read_bytes())
    where = run(python, "-P", "-c", "import nbrun; print(nbrun.__file__)", cwd=cwd)
    assert where.startswith(str(environment))
    for command in ([environment / "bin" / "nbrun"], [python, "-m", "nbrun"]):
        assert run(*command, "--version", cwd=cwd, **home).startswith("nbrun ")
    out = run(environment / "bin" / "nbrun", "start", example, cwd=cwd, **home)
    assert "completed" in out
    run(environment / "bin" / "nbrun", "new", "mine", cwd=cwd, **home)
    run(environment / "bin" / "nbrun", "export", "last", "--html", "report.html", cwd=cwd, **home)
    assert "disk" in (cwd / "report.html").read_text("utf-8").lower()
    assert "whole" in run(environment / "bin" / "nbrun", "verify", "last", cwd=cwd, **home)
