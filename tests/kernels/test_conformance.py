"""The same small runbooks on each kernel, through the real command (docs/kernels.md)."""

import pytest

from conformance.cases import CASES, Case
from conformance.kernels import KERNELS, KernelUnderTest
from conformance.runner import run
from tests.kernels.conftest import missing


@pytest.mark.kernels
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.spec)
def test_promise_holds_or_fails_for_the_reason_in_the_docs(
    kernel: KernelUnderTest, case: Case
) -> None:
    if not kernel.is_installed:
        missing(kernel.title, kernel.install)
    result = run(kernel, case)
    assert result.is_expected, result.why
