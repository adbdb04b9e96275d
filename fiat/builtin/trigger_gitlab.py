"""Trigger `gitlab`: reads GitLab's webhooks, of a project, a group or the system.

Source: https://docs.gitlab.com/user/project/integrations/webhook_events/
"""

import base64
import binascii
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence

from fiat.builtin.trigger_delivery import AGAIN, make_delivery
from fiat.builtin.trigger_json import Fields, read_object
from fiat.builtin.trigger_signature import any_equal
from fiat.run.delivery import Commented, Delivery, Happening, PullAction, PullChanged, Pushed

TOLERANCE_S = 300
COMMENT_LIMIT = 65_536
_SIGNING = "whsec_"
_STAMP = re.compile(r"\d{1,12}")
_ACTIONS: Mapping[str, PullAction] = {
    "open": "opened",
    "reopen": "opened",
    "close": "closed",
    "merge": "closed",
}


class GitlabTrigger:
    """`gitlab`: proven by the signing token (a secret that starts with `whsec_`), or by the plain `X-Gitlab-Token`.

    Once a signing token is among the secrets, a request that carries a signature is judged by it alone.

    Args:
        clock: seconds since 1970.
    """

    name = "gitlab"
    order = 30

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether GitLab's event header is there."""
        return "x-gitlab-event" in headers

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether the request proves that it knows one of the secrets; see the port.

        Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
        """
        signing = [secret for secret in secrets if secret.startswith(_SIGNING)]
        plain = [secret for secret in secrets if secret and not secret.startswith(_SIGNING)]
        signed = self._signed(headers, body, signing)
        known = any_equal(headers.get("x-gitlab-token", ""), plain or ["-"]) and bool(plain)
        return signed if signing and "webhook-signature" in headers else known

    def _signed(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        message_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        fresh = bool(_STAMP.fullmatch(stamp)) and abs(self._clock() - int(stamp)) <= TOLERANCE_S
        message = f"{message_id}.{stamp}.".encode("utf-8", "surrogatepass") + body
        keys = [key for secret in secrets if (key := _signing_key(secret))]
        expected = [_base64_mac(key, message) for key in keys or [b"there is no secret"]]
        given = headers.get("webhook-signature", "").split(" ")[:10]
        matches = [any_equal(text, expected) for text in given]
        return any(matches) and fresh and bool(message_id) and bool(keys)

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """What the delivery tells; see the port."""
        said = read_object(body)
        event = said.text("object_kind") or said.text("event_name")
        happenings, more = _READERS.get(event, _nothing)(said)
        return make_delivery(
            self.name,
            headers,
            body,
            id_headers=("idempotency-key", "x-gitlab-event-uuid"),
            event=event,
            repo_id=_project(said),
            repo_name=said.text("project.path_with_namespace"),
            sender_id=said.id("user.id") or said.id("user_id"),
            sender_name=said.text("user.username") or said.text("user_username") or said.text("user_name"),
            happenings=happenings,
            more=more,
        )


_Read = tuple[list[Happening], str]


def _signing_key(secret: str) -> bytes:
    """The bytes that sign; none when the secret is malformed."""
    try:
        return base64.b64decode(secret.removeprefix(_SIGNING), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _base64_mac(key: bytes, message: bytes) -> str:
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode("ascii")


def _project(said: Fields) -> str:
    return said.id("project.id") or said.id("project_id")


def _nothing(_: Fields) -> _Read:
    return [], ""


def _push(said: Fields) -> _Read:
    commit = said.commit("after")
    if commit and said.at("checkout_sha") is not None:
        commit = said.commit("checkout_sha")  # `after` is the tag object of an annotated tag
    return [Pushed(said.ref("ref"), commit, said.commit("before"))], ""


def _merge_request(said: Fields) -> _Read:
    word = said.text("object_attributes.action")
    moved = said.at("object_attributes.oldrev") is not None or said.at("changes.target_branch") is not None
    action: PullAction = "updated" if word == "update" and moved else _ACTIONS.get(word, "other")
    head_id = said.id("object_attributes.source_project_id")
    fork = not head_id or head_id != _project(said)
    return [
        PullChanged(
            number=said.number("object_attributes.iid"),
            action=action,
            commit=said.head("object_attributes.last_commit.id"),
            head_ref=said.text("object_attributes.source_branch"),
            base_ref=said.ref("object_attributes.target_branch", "refs/heads/"),
            fork=fork,
            head_repo_id=head_id if fork else "",
        )
    ], f"{word} {said.text('object_attributes.updated_at') if moved or word in AGAIN else ''}".strip()


def _note(said: Fields) -> _Read:
    # Older GitLab has no `action` here and tells of new notes only.
    if said.at("object_attributes.system") is True or said.at("object_attributes.action") == "update":
        return [], ""
    text, note_id = said.text("object_attributes.note", COMMENT_LIMIT), said.id("object_attributes.id")
    about = said.at("object_attributes.noteable_type")
    if about == "MergeRequest":
        return [Commented(text, said.number("merge_request.iid"), "", note_id)], ""
    if about == "Commit":
        return [Commented(text, 0, said.commit("commit.id"), note_id)], ""
    return [], ""


_READERS: Mapping[str, Callable[[Fields], _Read]] = {
    "push": _push,
    "tag_push": _push,
    "merge_request": _merge_request,
    "note": _note,
}
