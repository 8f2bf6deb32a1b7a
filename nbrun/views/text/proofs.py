"""How a runbook satisfied the rules of `[runbooks]`, in words. The output notebook has them."""

from collections.abc import Iterable

from nbrun.core.model import RunbookProof


def rows(proofs: Iterable[RunbookProof]) -> list[tuple[str, str]]:
    """Return a row for each rule that the runbook satisfied: `signed` or `committed`, and how."""
    return [
        ("signed", f"by {each.signer} with {each.key}")
        if each.rule == "require_signed"
        else ("committed", f"{each.commit[:12]} on {each.against}")
        for each in proofs
    ]
