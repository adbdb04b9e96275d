"""How long a forge asks us to wait, told from the headers of its answer."""

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

LONGEST_WAIT_S = 2 * 3600.0
SECONDARY_WAIT_S = 60.0


def asked_wait_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """Seconds to wait, None when the answer does not say.

    `retry-after` comes first; else the time at which the window ends, when no requests are left in it. Times are
    measured by the forge's own clock (its `Date`), so that ours may be wrong.

    Args:
        headers: of the answer, lower-case names.
        now_s: our clock, seconds since 1970.

    Source: https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api; RFC 9110, 10.2.3.
    """
    here_s = date_s(headers)
    forge_now_s = now_s if here_s is None else here_s
    after = headers.get("retry-after", "").strip()
    if after.isascii() and after.isdigit():
        return _bounded(float(after[:9]))
    if (until_s := _http_date_s(after)) is not None:
        return _bounded(until_s - forge_now_s)
    if number(headers, "x-ratelimit-remaining", "ratelimit-remaining") == 0:
        reset_s = number(headers, "x-ratelimit-reset", "ratelimit-reset")
        if reset_s is not None:
            return _bounded(reset_s - forge_now_s)
    return None


def date_s(headers: Mapping[str, str]) -> float | None:
    """The forge's clock in seconds since 1970, None when it does not say."""
    return _http_date_s(headers.get("date", ""))


def number(headers: Mapping[str, str], *names: str) -> int | None:
    """The first of some headers that is a whole number."""
    for name in names:
        value = headers.get(name, "").strip()
        if value.isascii() and value.isdigit() and len(value) < 16:
            return int(value)
    return None


def _http_date_s(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _bounded(seconds: float) -> float:
    return min(LONGEST_WAIT_S, max(1.0, seconds))
