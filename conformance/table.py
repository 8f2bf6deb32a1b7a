"""Write the results as the table of docs/kernels.md."""

from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from conformance.cases import CASES
from conformance.kernels import KERNELS, KernelUnderTest
from conformance.runner import Result

BEGIN = "<!-- conformance: written by `python -m conformance --write` -->"
END = "<!-- /conformance -->"


def table(results: Sequence[Result]) -> str:
    """Return the table and the reasons below it, in Markdown."""
    kernels = [each for each in KERNELS if any(result.kernel is each for result in results)]
    found = {(each.kernel.spec, each.case.name): each for each in results}
    reasons: list[str] = []
    rows = [
        f"| | {' | '.join(_heading(each) for each in kernels)} |",
        f"|---|{'---|' * len(kernels)}",
    ]
    for case in CASES:
        cells = [_cell(found.get((each.spec, case.name)), reasons) for each in kernels]
        rows.append(f"| {case.promise} | {' | '.join(cells)} |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*rows, "", *notes])


def _heading(kernel: KernelUnderTest) -> str:
    name = kernel.package.split(" ")[0]
    try:
        return f"{kernel.title} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return kernel.title


def _cell(result: Result | None, reasons: list[str]) -> str:
    if result is None:
        return "not run"
    if not result.why:
        return "holds"
    reason = f"{result.kernel.title}: {result.why}"
    reasons.append(reason)
    return f"no ({len(reasons)})"


def write(path: Path, text: str) -> None:
    """Replace the table in the page at `path`."""
    page = path.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", "utf-8")
