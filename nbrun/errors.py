"""What can go wrong, and the exit code that says so."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How `nbrun` ends, for scripts and schedulers."""

    COMPLETED = 0
    INTERNAL = 1
    USAGE = 2
    OFF_SCRIPT = 3
    FAILED = 4
    CANCELLED = 5
    INDETERMINATE = 6
    ALTERED = 7
    WAITING = 8
    INTERRUPTED = 130


class NbrunError(Exception):
    """The root: its message says what is wrong, where, and what to do about it."""

    exit_code = ExitCode.INTERNAL


class UsageError(NbrunError):
    """The command, the notebook or a parameter is wrong: nothing was run."""

    exit_code = ExitCode.USAGE


class RunbookError(UsageError):
    """The notebook can't be run as a runbook."""


class ParameterError(UsageError):
    """A parameter's name or value is refused."""


class RunNotFoundError(UsageError):
    """No run, or more than one, answers to the name given."""


class JournalError(NbrunError):
    """The journal can't be written or read."""


class DamagedJournalError(JournalError):
    """The journal holds something nbrun did not write there, or lacks something it wrote."""

    exit_code = ExitCode.ALTERED


class SignatureError(NbrunError):
    """A signature can't be made, or is not what it should be."""


class ForwardingError(NbrunError):
    """Lines of the record can't be sent to where they should go."""


class KernelError(NbrunError):
    """The kernel can't be started or spoken to."""


class SecretUnknownError(KernelError):
    """Code can't be sent: a secret in it is known only to the process that began the run."""


class NoSupervisorError(NbrunError):
    """Nobody listens at the run's socket."""


class RefusedAttachError(UsageError):
    """The run's supervisor does not let this operator in; the message says why."""


class IllegalEventError(NbrunError):
    """An event that can't happen in the state the run is in: a defect, or a record that lies."""
