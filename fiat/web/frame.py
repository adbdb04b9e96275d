"""What stands around every page: the bar with who is logged in, the policy of scripts, and how text becomes harmless.

Whatever people named or printed is escaped, and its control characters are made visible.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fiat.web.access import Caller
from fiat.web.forms import FORM_TOKEN
from fiat.web.session import Sessions
from fiat.web.words import visible

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = {"fiat.css": "text/css", "live.js": "text/javascript"}
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
# The report is made elsewhere, of what people's code wrote: it gets an origin of its own, without scripts.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; sandbox"
)


class Frame:
    """Makes pages of the package's templates and assets, which are read once.

    Args:
        sessions: give forms their tokens.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._assets = {name: (TEMPLATES / name).read_bytes() for name in ASSETS}
        self._environment = Environment(
            loader=FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_harmless,
        )
        digests = {name: hashlib.sha256(data).hexdigest()[:12] for name, data in self._assets.items()}
        self._environment.globals["asset"] = lambda name: f"/assets/{name}?v={digests[name]}"

    def page(
        self, caller: Caller, name: str, values: Mapping[str, object], status: int = 200
    ) -> HTMLResponse:
        """A page for somebody."""
        everywhere = {
            "who": caller.name,
            "logged_in": bool(caller.sealed and caller.access),
            "form_field": FORM_TOKEN,
            "form_token": self._sessions.form_token(caller.sealed),
        }
        text = self._environment.get_template(name).render({**everywhere, **values})
        # Not `no-referrer`: with that, browsers send `Origin: null` with the forms of the page.
        headers = {"Content-Security-Policy": PAGE_POLICY, "Referrer-Policy": "same-origin"}
        return HTMLResponse(text, status, headers)

    def knock(self, request: Request) -> Response:
        """Ask who it is; at first, where the browser comes from another site, only whether it has a cookie.

        A strict cookie does not come along when somebody follows a link from the forge; the same address asked for
        by a page of ours brings it.
        """
        if request.headers.get("sec-fetch-site") == "cross-site":
            return self.page(Caller(None), "again.html", {})
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"/login?next={quote(request.url.path + query, safe='/')}", 303)

    def asset(self, name: str) -> Response | None:
        """A style sheet or script; None when there is none of that name."""
        data = self._assets.get(name)
        if data is None:
            return None
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(data, headers=headers, media_type=ASSETS[name])


def _harmless(value: object) -> object:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
