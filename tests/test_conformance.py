"""The conformance suite: its table in the docs, and what it knows of single kernels."""

import re
from pathlib import Path

import pytest

from conformance import table
from conformance.cases import CASES
from conformance.kernels import KERNELS
from conformance.runner import Result

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "kernels.md").read_text("utf-8")
CONFORMANCE = PAGE.partition(table.BEGIN)[2].partition(table.END)[0]


def test_table_of_the_docs_has_every_kernel_and_promise() -> None:
    heading, _, *rows = [line for line in CONFORMANCE.splitlines() if line.startswith("|")]
    titles = [re.sub(r" [\d.]+$", "", cell.strip()) for cell in heading.split("|")[2:-1]]
    assert titles == [kernel.title for kernel in KERNELS]
    assert [row.split("|")[1].strip() for row in rows] == [case.promise for case in CASES]
    assert "not run" not in CONFORMANCE


def test_table_of_the_docs_gives_every_known_reason_and_no_other() -> None:
    stated = re.findall(r"^\d+\. (.*)$", CONFORMANCE, re.MULTILINE)
    known = [f"{kernel.title}: {why}" for kernel in KERNELS for why in kernel.known.values()]
    assert sorted(stated) == sorted(known)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.spec)
def test_known_reasons_are_about_cases_that_exist(kernel: object) -> None:
    assert set(kernel.known) <= {case.name for case in CASES}  # type: ignore[attr-defined]


def test_table_numbers_its_reasons() -> None:
    ipykernel, bash = KERNELS[:2]
    results = [Result(ipykernel, CASES[0]), Result(bash, CASES[0], "no such thing", is_known=True)]
    first = table.table(results).splitlines()
    assert first[2].endswith("| holds | no (1) |")
    assert first[3].endswith("| not run | not run |")
    assert first[-1] == "1. bash_kernel: no such thing"


def test_table_is_written_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write(page, "new")
    assert page.read_text() == f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"
