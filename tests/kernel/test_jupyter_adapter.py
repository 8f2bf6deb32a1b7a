"""Finding kernelspecs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nbrun.errors import RunbookError
from nbrun.kernel.jupyter_adapter import find_kernelspec, kernelspec_for


def test_unknown_kernelspec_is_an_error_with_a_list(
    broken_kernelspecs: None,
) -> None:
    with pytest.raises(RunbookError, match=r"no kernel named 'julia'.*--kernel") as raised:
        find_kernelspec("julia")
    for name in ("ending", "missing", "python3"):
        assert name in str(raised.value)


@pytest.mark.parametrize("name", [None, ""])
def test_missing_kernelspec_name_is_an_error_with_a_list(name: str | None) -> None:
    with pytest.raises(RunbookError, match=r"names no kernel.*python3"):
        find_kernelspec(name)


def test_installed_kernelspec_is_found() -> None:
    assert find_kernelspec("python3").language == "python"


def test_kernelspec_of_ipython_2_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kernels" / "old"
    folder.mkdir(parents=True)
    spec = {"argv": ["old"], "display_name": "Old", "language": "cobol"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    assert find_kernelspec("old").language == "cobol"


def _install(folder: Path, language: str, *names: str) -> None:
    for name in names:
        (folder / "kernels" / name).mkdir(parents=True)
        spec = {"argv": ["x"], "display_name": name, "language": language}
        (folder / "kernels" / name / "kernel.json").write_text(json.dumps(spec))


def test_kernelspec_of_a_language_is_the_only_or_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    _install(tmp_path, "COBOL", "old")
    _install(tmp_path, "python", "another")
    broken = tmp_path / "kernels" / "broken"
    broken.mkdir()
    (broken / "kernel.json").write_text("{")
    assert kernelspec_for("cobol") == "old"
    assert kernelspec_for("Python") == "python3"


def test_several_kernelspecs_of_a_language_are_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    _install(tmp_path, "cobol", "old", "older")
    with pytest.raises(RunbookError, match=r"several run cobol: .*--kernel \(old, older\)"):
        kernelspec_for("cobol")
    with pytest.raises(RunbookError, match=r"none that runs fortran is installed.*older"):
        kernelspec_for("fortran")


def test_kernelspec_is_found_without_importing_ipython() -> None:
    seen = (
        "import sys\n"
        "from nbrun.kernel.jupyter_adapter import find_kernelspec\n"
        "print(find_kernelspec('python3').language, 'IPython' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", seen], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == ["python", "False"]
