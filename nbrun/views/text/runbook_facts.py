"""Facts about a runbook in words: which rules it satisfied and how, and what it includes.

The output notebook has these texts, so they must not change.
"""

from collections.abc import Iterable, Sequence

from nbrun.core.events import RunStarted
from nbrun.core.model import IncludedRunbook, RunbookProof


def rows(
    proofs: Iterable[RunbookProof], includes: Sequence[IncludedRunbook]
) -> list[tuple[str, str]]:
    """Return a row for each rule that the runbook satisfied, then one for each included file."""
    files = {each.path: each.sha256 for each in includes}
    return [*map(proof, proofs)] + [
        ("includes", f"{path} (sha256 {sha256[:12]}…)") for path, sha256 in files.items()
    ]


def capitalized(plan: RunStarted) -> list[tuple[str, str]]:
    """Return the rows of a run's runbook, each with a name that begins with a capital."""
    return [(name.capitalize(), value) for name, value in rows(plan.proofs, plan.includes)]


def proof(found: RunbookProof) -> tuple[str, str]:
    """Return `signed` or `committed`, and how."""
    if found.rule == "require_signed":
        return "signed", f"by {found.signer} with {found.key}"
    return "committed", f"{found.commit[:12]} on {found.against}"
