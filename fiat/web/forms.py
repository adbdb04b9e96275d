"""Forms of our pages: read with limits, and believed only when our page for this very session made them."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from fiat.web.access import Caller, place_of
from fiat.web.problems import Problem

FORM_TYPE = "application/x-www-form-urlencoded"
FORM_TOKEN = "form"  # noqa: S105 - the field's name
_MOST_FIELDS = 20


async def read_form(request: Request) -> Mapping[str, str]:
    """The fields.

    Raises:
        Problem: it is no form.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != FORM_TYPE:
        raise Problem(415, "this takes forms of its own page only")
    try:
        text = (await request.body()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise Problem(400, "the form can't be read") from error


def check_form(request: Request, caller: Caller, fields: Mapping[str, str]) -> None:
    """Refuse a form that another page has made up.

    Raises:
        Problem: its token is not that of the session.
    """
    if not place_of(request).sessions.is_own_form(caller.sealed, fields.get(FORM_TOKEN, "")):
        raise Problem(403, "the form is from another session", "load the page again and repeat")
