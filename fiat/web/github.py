"""GitHub's events are dispatched by the package `github-webhook`: its Flask app lives in ours, behind our own checks.

The package alone knows SHA-1 signatures only, and before it calls a hook it formats a log line out of the body, which an
odd body makes fail and a hostile one writes to. So it is called in process with an envelope: the event's name and an
empty object; what the delivery says was verified and read before, and waits beside it.
"""

import io
from collections.abc import Callable
from typing import Any

from flask import Flask, request
from github_webhook import Webhook  # type: ignore[import-untyped]

from fiat.run.delivery import Delivery
from fiat.run.view import TakenState

EVENTS = (
    "push",
    "pull_request",
    "merge_group",
    "issue_comment",
    "commit_comment",
    "check_run",
    "check_suite",
)
_DELIVERY = "fiat.delivery"
_STATE = "fiat.state"
_ENVELOPE = b"{}"
Take = Callable[[Delivery], TakenState]


class GithubDispatch:
    """The Flask app with one hook for each event that Fiat acts on.

    Args:
        take: what a hook does with a delivery; its errors come out of `dispatch`.
    """

    def __init__(self, take: Take) -> None:
        self._take = take
        # Errors of a hook are ours to answer: Flask would make each of them a page with status 500.
        self._flask = Flask(__name__, static_folder=None, template_folder=None)
        self._flask.config.update(PROPAGATE_EXCEPTIONS=True, MAX_CONTENT_LENGTH=len(_ENVELOPE))
        webhook = Webhook(self._flask, endpoint="/")
        for event in EVENTS:
            webhook.hook(event)(self._hook)

    def dispatch(self, delivery: Delivery) -> TakenState:
        """Hand a verified delivery to the hook of its event; `ignored` when there is none.

        Raises:
            FiatError: as `take` does.
        """
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "SERVER_NAME": "fiat",
            "SERVER_PORT": "0",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(_ENVELOPE)),
            "HTTP_X_GITHUB_EVENT": delivery.event if delivery.event in EVENTS else "other",
            "HTTP_X_GITHUB_DELIVERY": delivery.body_key,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(_ENVELOPE),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            _DELIVERY: delivery,
            _STATE: "ignored",
        }
        for _ in self._flask(environ, _started):
            pass
        state: TakenState = environ[_STATE]
        return state

    def _hook(self, _: object) -> None:
        request.environ[_STATE] = self._take(request.environ[_DELIVERY])


def _started(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], None]:
    del headers, exc_info
    if not status.startswith("2"):
        raise AssertionError(f"github-webhook answered {status} to our envelope")
    return lambda _: None
