"""Every error of Fiat, sorted by what happens next, and the exit codes. Imports nothing of Fiat."""

from dataclasses import dataclass

EXIT_DONE = 0
EXIT_REFUSED = 1
EXIT_SPEC = 2
EXIT_ENVIRONMENT = 3
EXIT_BUG = 4
EXIT_INTERRUPTED = 130


@dataclass(frozen=True)
class Where:
    """A place in a file that a person can open.

    Attributes:
        file: path as the user would type it, or `<override>` for the command line.
        line: 1-based line, 0 when unknown.
        column: 1-based column, 0 when unknown.
        key: dotted key path such as `data.images.source`, empty when it concerns the whole file.
    """

    file: str
    line: int = 0
    column: int = 0
    key: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line:
            place += f":{self.line}:{self.column or 1}"
        return place


class FiatError(Exception):
    """Anything Fiat says on purpose: one sentence, the next step, and where.

    Attributes:
        message: what is wrong, one sentence without a full stop at its end.
        hint: what to do next; empty when there is nothing to add.
        where: the place it concerns, or None.
        exit_code: what the command line exits with.
    """

    exit_code = EXIT_BUG

    def __init__(self, message: str, *, hint: str = "", where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        key = f"{self.where.key}: " if self.where and self.where.key else ""
        tail = f" ({self.hint})" if self.hint else ""
        return f"{place}{key}{self.message}{tail}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.hint, self.where)


def _rebuild(kind: type[FiatError], message: str, hint: str, where: Where | None) -> FiatError:
    return kind(message, hint=hint, where=where)


class SpecError(FiatError):
    """The user edits the spec (or the code or data it names) and tries again."""

    exit_code = EXIT_SPEC


class SpecErrors(SpecError):
    """Every fault of a spec at once.

    Attributes:
        errors: one SpecError a fault, in the order of their places.
    """

    def __init__(self, errors: list[SpecError]) -> None:
        first = errors[0]
        super().__init__(first.message, hint=first.hint, where=first.where)
        self.errors = errors

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)

    def __reduce__(self) -> tuple[object, ...]:
        return SpecErrors, (self.errors,)


class EnvironmentFault(FiatError):
    """The machine is at fault: a plugin, a credential, the store, the cluster, the disk."""

    exit_code = EXIT_ENVIRONMENT


class SignatureFault(EnvironmentFault):
    """A package is not what somebody signed: no signature, another key, other bytes. Nothing is changed because of it."""


class StepFailure(FiatError):
    """A step ended without its result: the user's code failed, was killed, or ran out of something."""

    exit_code = EXIT_REFUSED


class Interrupted(FiatError):
    """The user asked to stop (Ctrl-C)."""

    exit_code = EXIT_INTERRUPTED


class Waiting(FiatError):
    """Not now: the same call may go through later, so the loop tries again.

    Attributes:
        retry_after_s: how long the other side asks us to wait, in seconds; None leaves it to the loop's own back-off.
    """

    exit_code = EXIT_ENVIRONMENT

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, hint: str = "", where: Where | None = None
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.retry_after_s = retry_after_s

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild_waiting, (self.message, self.retry_after_s, self.hint, self.where)


def _rebuild_waiting(message: str, retry_after_s: float | None, hint: str, where: Where | None) -> "Waiting":
    return Waiting(message, retry_after_s=retry_after_s, hint=hint, where=where)


class Stalled(FiatError):
    """Trying again changes nothing until somebody acts: a credential, a permission, a deleted repository."""

    exit_code = EXIT_ENVIRONMENT


class Fenced(FiatError):
    """Another process has taken this run over: whatever we still do for it must stop."""

    exit_code = EXIT_ENVIRONMENT
