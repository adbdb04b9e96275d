"""Browsers stay logged in by a cookie that only we can read: a token, sealed with our key and the time.

Nothing is kept on our side, and a token that is taken out of the settings ends its sessions too.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable
from datetime import datetime
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from cryptography.fernet import Fernet, InvalidToken

from fiat.web.settings import WebSettings

NOBODY = "nobody"


class Sessions:
    """Seals tokens into cookies and opens them again.

    Args:
        settings: the key, how long a session lasts, whether the cookie is for https only.
        now: clock, aware UTC.
    """

    def __init__(self, settings: WebSettings, now: Callable[[], datetime]) -> None:
        self._cipher = Fernet(base64.urlsafe_b64encode(_derived(settings.key, "session")))
        self._form_key = _derived(settings.key, "form")
        self._seconds = round(settings.session.total_seconds())
        self._now = now
        self._https = settings.https
        # The prefix makes browsers refuse a cookie of that name from any other host or over http. Cookies know no
        # ports: without https two runners of one machine must not log each other out.
        port = urlsplit(settings.url).port or 80
        self.cookie = "__Host-fiat" if settings.https else f"fiat-{port}"

    def seal(self, token: str) -> str:
        """The `Set-Cookie` header that logs in."""
        value = self._cipher.encrypt_at_time(token.encode(), self._time()).decode("ascii")
        return self._header(value, self._seconds)

    def end(self) -> str:
        """The `Set-Cookie` header that logs out."""
        return self._header("", 0)

    def sealed(self, cookie_header: str) -> str:
        """Our cookie's value in a `Cookie` header; empty when there is none."""
        try:
            found = SimpleCookie(cookie_header).get(self.cookie)
        except CookieError:
            return ""
        return found.value if found is not None else ""

    def token(self, sealed: str) -> str:
        """The token in a cookie; empty when it is not ours, too old, or from the future."""
        try:
            return self._cipher.decrypt_at_time(sealed.encode(), self._seconds, self._time()).decode()
        except (InvalidToken, UnicodeError, ValueError):
            return ""

    def form_token(self, sealed: str) -> str:
        """What a form of this session carries, so that no other page can send it."""
        return hmac.new(self._form_key, (sealed or NOBODY).encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, sealed: str, given: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(self.form_token(sealed).encode(), given.encode("utf-8", "replace"))

    def _header(self, value: str, seconds: int) -> str:
        secure = "; Secure" if self._https else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"

    def _time(self) -> int:
        return int(self._now().timestamp())


def _derived(key: bytes, purpose: str) -> bytes:
    return hmac.new(key, purpose.encode(), hashlib.sha256).digest()
