"""The command line of the conformance suite."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from conformance.cases import CASES, Case
from conformance.kernels import KERNELS, KernelUnderTest, kernel_named
from conformance.runner import Result, run
from conformance.table import table, write

_NAMES = ", ".join(kernel.spec for kernel in KERNELS)
_PAGE = Path(__file__).parent.parent / "docs" / "kernels.md"


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="KERNEL", help=f"Kernels; all installed by default: {_NAMES}."),
    ] = None,
    *,
    page: Annotated[
        bool, typer.Option("--write", help="Write the table into docs/kernels.md.")
    ] = False,
) -> None:
    """Run the same small runbooks on each installed kernel, and show what holds.

    Exits with 1 if a promise does not hold for a reason that is not known.
    """
    results = [_reported(kernel, case) for kernel in _chosen(names) for case in CASES]
    text = table(results)
    sys.stdout.write(f"{text}\n")
    if page:
        write(_PAGE, text)
    if not all(result.is_expected for result in results):
        raise typer.Exit(1)


def _chosen(names: list[str] | None) -> list[KernelUnderTest]:
    unknown = [name for name in names or () if name not in _NAMES.split(", ")]
    if unknown:
        raise typer.BadParameter(f"unknown kernel {unknown[0]!r}: choose from {_NAMES}")
    chosen = [kernel_named(name) for name in names] if names else list(KERNELS)
    for kernel in chosen:
        if not kernel.is_installed:
            sys.stderr.write(f"conformance: {kernel.title} is not installed: {kernel.install}\n")
    return [kernel for kernel in chosen if kernel.is_installed]


def _reported(kernel: KernelUnderTest, case: Case) -> Result:
    result = run(kernel, case)
    said = "holds" if not result.why else result.why if result.is_known else f"FAILED: {result.why}"
    sys.stderr.write(f"{kernel.title}: {result.case.name}: {said}\n")
    return result


if __name__ == "__main__":
    typer.run(main)
