"""Finding kernelspecs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nbrun.errors import RunbookError
from nbrun.kernel.jupyter_adapter import find_kernelspec


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
