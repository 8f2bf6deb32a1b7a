"""The errors that nbrun raises, and its exit codes."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of `nbrun`, for scripts and schedulers."""

    COMPLETED = 0  # on script
    INTERNAL = 1  # nbrun itself failed
    USAGE = 2  # nothing was run
    OFF_SCRIPT = 3  # completed, with deviations
    FAILED = 4
    CANCELLED = 5
    INDETERMINATE = 6  # nobody saw how an attempt ended
    ALTERED = 7  # the record was altered or is damaged
    WAITING = 8  # the run waits for a decision, or continues detached
    INTERRUPTED = 130  # Ctrl-C before the run began


class NbrunError(Exception):
    """The root of all errors: the message says what is wrong, where, and what to do about it."""

    exit_code = ExitCode.INTERNAL


class UsageError(NbrunError):
    """The command, the notebook or a parameter is wrong: nothing was run."""

    exit_code = ExitCode.USAGE


class RunbookError(UsageError):
    """The notebook can't be run as a runbook."""


class ParameterError(UsageError):
    """A parameter's name or value is not accepted."""


class RunNotFoundError(UsageError):
    """No run, or more than one, matches the given name."""


class SlowPatternError(NbrunError):
    """A pattern or a schema takes too long to match."""


class ForeignRunError(UsageError):
    """A run is not this user's own, or not one that this user began: its record is not acted on."""


class JournalError(NbrunError):
    """The journal can't be written or read."""


class DamagedJournalError(JournalError):
    """The journal was altered, or a part of it is missing."""

    exit_code = ExitCode.ALTERED


class BrokenRecordError(NbrunError):
    """A record is not what nbrun wrote; the message names the line or the file."""

    exit_code = ExitCode.ALTERED


class SignatureError(NbrunError):
    """A signature can't be made, or is not valid."""


class RepositoryError(NbrunError):
    """A git repository does not have what was asked for, or can't be asked."""


class ForwardingError(NbrunError):
    """Lines of the record can't be sent to a sink."""


class NotificationError(NbrunError):
    """A hook or a chat service did not take a message."""


class KernelError(NbrunError):
    """The kernel can't be started or reached."""


class UnreachableKernelError(KernelError):
    """A kernel that may still run can't be found or reached."""


class UnprovenKernelError(KernelError):
    """A process that a record names is not known to be a kernel of nbrun's: it is left alone."""


class SecretUnknownError(KernelError):
    """Code can't be sent to the kernel: this process does not know a secret in it.

    Secrets are not recorded: only the process that began the run knows them, until they are entered
    again.
    """


class NoSupervisorError(NbrunError):
    """No process listens at the run's socket."""


class RefusedAttachError(UsageError):
    """The run's supervisor does not let this operator attach; the message says why."""


class IllegalEventError(NbrunError):
    """An event that is illegal in the run's state: a defect of nbrun, or a forged record."""
