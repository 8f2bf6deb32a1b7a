"""Tests of the approval that the contract of a step asks for."""

from typing import Any

import pytest

from nbrun.core.model import Contract
from nbrun.errors import RunbookError
from nbrun.runbook.contract import ContractContext, contract_of


def contract(approve: Any, tags: tuple[str, ...] = ()) -> Contract:
    metadata = {"tags": list(tags), "nbrun": {"approve": approve}}
    return contract_of("cell 1", "code", metadata, ContractContext())


@pytest.mark.parametrize(
    ("approve", "expected"),
    [
        (True, ("", 1, None)),
        (False, (None, 1, None)),
        ({"group": "dba"}, ("dba", 1, None)),
        ({"min": 2}, ("", 2, None)),
        ({"group": "dba", "min": 2, "within": "2h"}, ("dba", 2, 7200.0)),
        ({"within": 90}, ("", 1, 90.0)),
    ],
)
def test_approval_is_read_from_contract(approve: Any, expected: tuple[Any, ...]) -> None:
    found = contract(approve, ("approve",))
    assert (found.approve, found.approvals, found.approve_within) == expected


@pytest.mark.parametrize(
    "approve",
    [
        {},
        {"group": ""},
        {"group": "dba", "of": 2},
        {"min": 0},
        {"min": 21},
        {"min": True},
        {"min": 1.5},
        {"within": "soon"},
        {"within": 1},
        {"within": -60},
        {"within": "32d"},
        {"within": True},
        "dba",
    ],
    ids=str,
)
def test_wrong_approval_is_refused_with_its_key(approve: Any) -> None:
    with pytest.raises(RunbookError, match="approve must be true, or"):
        contract(approve)
