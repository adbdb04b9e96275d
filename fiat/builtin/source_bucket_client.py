"""A bucket's file system, asked with patience, and the faults of three clouds told in one way."""

from collections.abc import Callable
from typing import Any, TypeVar

from fiat.errors import EnvironmentFault, FiatError, SpecError
from fiat.redaction import Redactor

_T = TypeVar("_T")
_WAITS_S = (0.5, 3.0)
_REFUSED = (401, 403)


class BucketClient:
    """Asks a file system of fsspec, and says what goes wrong without what is secret.

    Args:
        setting: where the source stands, such as `source.s3`.
        make: gives the file system; called again after the network broke.
        redactor: masks the request's secrets.
        hint: what to do about missing credentials.
    """

    def __init__(self, setting: str, make: Callable[[], Any], redactor: Redactor, hint: str) -> None:
        self._setting, self._make, self._redactor, self._hint = setting, make, redactor, hint
        self._system: Any = None

    def ask(self, question: Callable[[Any], _T], about: str, sleep: Callable[[float], object]) -> _T:
        """The answer to a question, tried again when the network breaks.

        Args:
            question: is given the file system.
            about: what is asked for, for people.
            sleep: waits between tries.

        Raises:
            SpecError: there is no such thing.
            EnvironmentFault: it may not be read, or can't be now.
        """
        for wait_s in (*_WAITS_S, None):
            try:
                if self._system is None:
                    self._system = self._make()
                return question(self._system)
            except FiatError:
                raise
            except FileNotFoundError:
                raise SpecError(f"{self._setting}: there is no {about}", hint="is the key right?") from None
            except Exception as error:  # three libraries, each with its own kinds
                if _is_refusal(error):
                    raise EnvironmentFault(
                        f"{self._setting}: {about} may not be read: {self._said(error)}", hint=self._hint
                    ) from None
                if wait_s is None or not _is_passing(error):
                    raise EnvironmentFault(
                        f"{self._setting}: {about} can't be read: {self._said(error)}", hint="try again later"
                    ) from None
            self._system = None
            sleep(wait_s)
        raise AssertionError("the last try returns or raises")

    def _said(self, error: BaseException) -> str:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return self._redactor.text(said)[:300]


def _status(error: BaseException) -> int | None:
    """The HTTP status that an error of one of the libraries tells of."""
    response = getattr(error, "response", None)
    found = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
    for value in (found, getattr(error, "code", None), getattr(error, "status_code", None)):
        if isinstance(value, int) or (isinstance(value, str) and value.isdigit()):
            return int(value)
    cause = error.__cause__
    return _status(cause) if cause is not None else None


def _is_refusal(error: BaseException) -> bool:
    lacking = type(error).__name__ in (
        "NoCredentialsError",
        "DefaultCredentialsError",
        "PartialCredentialsError",
    )
    forbidden = isinstance(error, PermissionError) or str(error).startswith("Forbidden")
    return lacking or forbidden or _status(error) in _REFUSED


def _is_passing(error: BaseException) -> bool:
    """Whether another try may help: all but what the server refuses for good."""
    status = _status(error)
    return status is None or status >= 500 or status in (408, 425, 429)
