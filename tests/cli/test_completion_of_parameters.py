"""Completion of -p, without a shell."""

from pathlib import Path

from nbrun.cli.completion import parameter


def test_parameters_of_a_text_runbook_are_completed(tmp_path: Path) -> None:
    path = tmp_path / "restart.md"
    path.write_text(
        '```python tags=["parameters"]\nhost = "a"  # where\n```\n\n```python\nhost\n```\n'
    )
    environ = {"COMP_WORDS": f"nbrun start {path} -p "}
    assert parameter(environ, "ho") == [("host=", "where")]
