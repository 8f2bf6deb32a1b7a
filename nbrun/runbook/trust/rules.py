"""The rules of `[runbooks]` in nbrun.toml: which runbooks may run. `audit.runbook_trust` checks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SignedRule:
    """A runbook must be signed by a key in `signers`, a file of allowed signers (ssh-keygen(1)).

    `settings`: the nbrun.toml that has the rule.
    """

    signers: Path
    settings: Path


@dataclass(frozen=True)
class CommittedRule:
    """A runbook's bytes must be those of a commit on `branch` of its git repository.

    `settings`: the nbrun.toml that has the rule.
    """

    branch: str
    settings: Path


RunbookRule = SignedRule | CommittedRule
