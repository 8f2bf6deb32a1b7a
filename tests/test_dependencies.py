"""Dependencies: each has its licence in the docs, and its version and hashes in the lock files."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PAGE = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
LOCKS = ROOT / ".ci" / "locks"

NEEDED = [Requirement(each) for each in PROJECT["dependencies"]]
EXTRAS = [
    (extra, Requirement(each))
    for extra, needed in PROJECT["optional-dependencies"].items()
    for each in needed
    if not each.startswith("nbrun-cli")
]


def locked(name: str) -> dict[str, set[str]]:
    """Return the locked versions of each package, by its name."""
    found: dict[str, set[str]] = {}
    for line in (LOCKS / name).read_text("utf-8").splitlines():
        if match := re.match(r"([a-z0-9.-]+)==(\S+)", line):
            found.setdefault(match[1], set()).add(match[2])
    return found


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda each: each.name)
def test_needed_package_has_its_licence_in_the_docs(requirement: Requirement) -> None:
    assert re.search(rf"^\| {requirement.name} \| [\w.-]+", PAGE, re.M)


@pytest.mark.parametrize(("extra", "requirement"), EXTRAS, ids=str)
def test_package_of_extra_has_its_licence_in_the_docs(extra: str, requirement: Requirement) -> None:
    if extra == "dev":
        assert requirement.name in PAGE.partition("The extra `dev`")[2]
    else:
        assert re.search(rf"^\| `{extra}` \| [^|]*\b{requirement.name}\b[^|]* \| \w", PAGE, re.M)


def test_docs_list_no_package_that_is_gone() -> None:
    rows = re.findall(r"^\| ([a-z][\w-]+) \| [^|]+ \| [^|]+ \|$", PAGE, re.M)
    assert {*rows} - {"package", "extra"} == {each.name for each in NEEDED}


@pytest.mark.parametrize("name", ["nbrun.txt", "dev.txt"])
def test_lock_file_has_every_package_in_an_allowed_version(name: str) -> None:
    wanted = [*NEEDED, *(each for _, each in EXTRAS)] if name == "dev.txt" else NEEDED
    versions = locked(name)
    for requirement in wanted:
        found = versions.get(canonicalize_name(requirement.name))
        assert found, f"{requirement.name} is not in {name}: run .ci/lock"
        assert all(map(requirement.specifier.contains, found)), f"{requirement}: run .ci/lock"


@pytest.mark.parametrize("name", ["nbrun.txt", "dev.txt"])
def test_lock_file_has_hashes_and_names_no_index(name: str) -> None:
    text = (LOCKS / name).read_text("utf-8")
    entries = re.split(r"^(?=[a-z0-9.-]+==)", text, flags=re.M)[1:]
    assert len(entries) > 50
    assert all("--hash=sha256:" in entry for entry in entries)
    assert not re.search(r"://|--index|--extra-index|--find-links|nbrun-cli", text)
