"""What is said when something can't be done: problem documents for programs, a page for people.

Source: RFC 9457.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from fiat.errors import EnvironmentFault, Fenced, FiatError, SpecError, Stalled, Waiting

MEDIA_TYPE = "application/problem+json"


class ProblemDocument(BaseModel):
    """An error as `application/problem+json`."""

    type: str = Field(description="`about:blank`: the status says what kind of problem it is.")
    title: str = Field(description="Words of the status.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="One sentence.")
    hint: str | None = Field(default=None, description="What to do next.")
    errors: list[str] | None = Field(default=None, description="Every fault of a request, one sentence each.")


@dataclass(eq=False)
class Problem(Exception):
    """Raised by routes to end a request.

    Attributes:
        status: HTTP status.
        detail: one sentence for whoever asked; nothing secret.
        hint: the next step.
        headers: further headers.
        errors: every fault, when there are several.
    """

    status: int
    detail: str
    hint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Words of the status."""
        return HTTPStatus(self.status).phrase

    def response(self) -> Response:
        """The document."""
        document = ProblemDocument(
            type="about:blank",
            title=self.title,
            status=self.status,
            detail=self.detail,
            hint=self.hint or None,
            errors=list(self.errors) or None,
        )
        content = document.model_dump(exclude_none=True)
        return JSONResponse(content, self.status, dict(self.headers), media_type=MEDIA_TYPE)


def problem_of(error: FiatError) -> Problem:
    """How an error of the engine is told over HTTP."""
    headers: dict[str, str] = {}
    if isinstance(error, SpecError):
        status = 422
    elif isinstance(error, Stalled | Fenced):
        status = 409
    elif isinstance(error, Waiting | EnvironmentFault):
        status = 503
        wait_s = getattr(error, "retry_after_s", None)
        headers["Retry-After"] = str(max(1, round(wait_s if wait_s is not None else 30)))
    else:
        status = 500
    return Problem(status, error.message, error.hint, headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: these statuses, and those that any request can meet."""
    every = sorted({*statuses, 400, 401, 403, 421, 422, 429, 431, 503})
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in every
    }


_REFERENCE = {"$ref": "#/components/schemas/ProblemDocument"}
