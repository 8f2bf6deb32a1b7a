"""Run a case on a kernel, and compare the result with what is known of that kernel."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from conformance.cases import Case
from conformance.errors import CaseFailedError
from conformance.kernels import KernelUnderTest, search_path
from tests.support.terminal import Desk


@dataclass(frozen=True)
class Result:
    """The result of one case. `why`: empty if the promise holds.

    `is_known`: the promise is known not to hold, for the reason `why`.
    """

    kernel: KernelUnderTest
    case: Case
    why: str = ""
    is_known: bool = False

    @property
    def is_expected(self) -> bool:
        """True if the promise holds, or does not for a reason that the table gives."""
        return not self.why or self.is_known


def run(kernel: KernelUnderTest, case: Case) -> Result:
    """Run `case` in a folder of its own."""
    known = kernel.known.get(case.name, "")
    with tempfile.TemporaryDirectory(prefix="nbrun-conformance-") as folder:
        desk = Desk(Path(folder))
        desk.variables["JUPYTER_PATH"] = search_path()
        try:
            case.run(desk, kernel)
        except (CaseFailedError, AssertionError) as error:
            return Result(kernel, case, known or str(error), is_known=bool(known))
        finally:
            desk.close()
    why = f"holds now, and is listed as known not to: {known}" if known else ""
    return Result(kernel, case, why)
