"""What every trigger makes a Delivery of: ids that may be kept, and the key that a replay can't change."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import astuple

from fiat.run.delivery import Commented, Delivery, Happening

_ID = re.compile(r"[!-~]{1,100}")
AGAIN = frozenset({"closed", "reopened", "edited", "close", "reopen"})
"""Actions on a pull request that say the same when they happen twice at one head, but for the time: it is to be told as
`more`."""
_EVENT = re.compile(r"[A-Za-z0-9_.-]{1,100}")


def make_delivery(
    forge: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    id_headers: Sequence[str],
    event: str,
    repo_id: str,
    repo_name: str,
    sender_id: str,
    sender_name: str,
    happenings: Sequence[Happening],
    more: str = "",
) -> Delivery:
    """Put a delivery together.

    Args:
        forge: name of the trigger.
        headers: of the request, lower-case names.
        body: of the request.
        id_headers: headers that may hold the delivery's id, best first; without one the body's digest is the id.
        event: as in Delivery, any text.
        repo_id: as in Delivery.
        repo_name: as in Delivery.
        sender_id: as in Delivery.
        sender_name: as in Delivery.
        happenings: as in Delivery.
        more: what else tells two deliveries apart whose happenings are the same.
    """
    digest = hashlib.sha256(body).hexdigest()
    given = [headers[name] for name in id_headers if _ID.fullmatch(headers.get(name, ""))]
    # The event's name stands in a header that no signature covers, so it is no part of the key: a body that is sent
    # again under another event that reads alike must be seen as the same.
    told: list[list[object]] = [_kept(happening) for happening in happenings] or [[event, digest]]
    key = hashlib.sha256(json.dumps([forge, repo_id, told, more]).encode()).hexdigest()
    return Delivery(
        forge=forge,
        id=given[0] if given else digest,
        body_key=key,
        event=event if _EVENT.fullmatch(event) else "unknown",
        repo_id=repo_id,
        repo_name=repo_name,
        sender_id=sender_id,
        sender_name=sender_name,
        happenings=tuple(happenings),
    )


def _kept(happening: Happening) -> list[object]:
    if isinstance(happening, Commented):
        return ["Commented", happening.pull, happening.commit, happening.comment_id]
    return [type(happening).__name__, *astuple(happening)]
