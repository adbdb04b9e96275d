"""Triggers `gitea` and `forgejo`: they word their webhooks alike, and also send GitHub's headers.

Source: https://docs.gitea.com/usage/webhooks; https://forgejo.org/docs/latest/user/webhooks/
"""

from collections.abc import Callable, Mapping, Sequence

from fiat.builtin.trigger_delivery import AGAIN, make_delivery
from fiat.builtin.trigger_json import Fields, read_object
from fiat.builtin.trigger_signature import signed_hex, signed_hub
from fiat.run.delivery import Commented, Delivery, Happening, PullAction, PullChanged, Pushed

COMMENT_LIMIT = 65_536
_ACTIONS: Mapping[str, PullAction] = {
    "opened": "opened",
    "reopened": "opened",
    "synchronized": "updated",
    "closed": "closed",
}


class GiteaTrigger:
    """`gitea`: signed with `X-Gitea-Signature` (bare hex) or `X-Hub-Signature-256` over the raw body.

    A hook without a secret sends both with an empty digest; that is refused.
    """

    name = "gitea"
    order = 20
    _mark = "x-gitea"

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether the forge's own event header is there."""
        return f"{self._mark}-event" in headers

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether the body is signed by one of the secrets; see the port."""
        own = headers.get(f"{self._mark}-signature")
        if own is not None:
            return signed_hex(body, own, secrets)
        return signed_hub(body, headers.get("x-hub-signature-256", ""), secrets)

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """What the delivery tells; see the port."""
        said = read_object(body)
        event = headers.get(f"{self._mark}-event", "")
        happenings, more = _READERS.get(event, _nothing)(said)
        return make_delivery(
            self.name,
            headers,
            body,
            id_headers=(f"{self._mark}-delivery",),
            event=event,
            repo_id=said.id("repository.id"),
            repo_name=said.text("repository.full_name"),
            sender_id=said.id("sender.id"),
            sender_name=said.text("sender.login"),
            happenings=happenings,
            more=more,
        )


class ForgejoTrigger(GiteaTrigger):
    """`forgejo`: as Gitea, with headers of its own beside Gitea's."""

    name = "forgejo"
    order = 10
    _mark = "x-forgejo"


_Read = tuple[list[Happening], str]


def _nothing(_: Fields) -> _Read:
    return [], ""


def _push(said: Fields) -> _Read:
    ref, commit = said.ref("ref"), said.commit("after")
    if commit and ref.startswith("refs/tags/") and said.at("head_commit.id") is not None:
        commit = said.commit("head_commit.id")
    return [Pushed(ref, commit, said.commit("before"))], ""


def _delete(said: Fields) -> _Read:
    kinds = {"branch": "refs/heads/", "tag": "refs/tags/"}
    prefix = kinds.get(said.text("ref_type"))
    return ([Pushed(said.ref("ref", prefix), "")] if prefix else []), ""


def _pull(said: Fields) -> _Read:
    word = said.text("action")
    # Somebody chose another base: its gates count now, and its head is judged anew.
    moved = word == "edited" and said.at("changes.ref") is not None
    head_ref = said.text("pull_request.head.ref")
    head_id = said.id("pull_request.head.repo.id")
    # A head that is no branch came by `git push refs/for/...`, which needs no write access: strangers' code that lies
    # in our own repository.
    loose = head_ref.startswith("refs/")
    fork = loose or not head_id or head_id != said.id("repository.id")
    return [
        PullChanged(
            number=said.number("pull_request.number"),
            action="updated" if moved else _ACTIONS.get(word, "other"),
            commit=said.head("pull_request.head.sha"),
            head_ref=head_ref,
            base_ref=said.ref("pull_request.base.ref", "refs/heads/"),
            fork=fork,
            head_repo_id=head_id if fork and not loose else "",
        )
    ], f"{word} {said.text('pull_request.updated_at') if word in AGAIN else ''}".strip()


def _comment(said: Fields) -> _Read:
    pulled = said.at("is_pull") is True or isinstance(said.at("issue.pull_request"), Mapping)
    if said.text("action") != "created" or not pulled:
        return [], ""
    number = said.number("issue.number")
    return [Commented(said.text("comment.body", COMMENT_LIMIT), number, "", said.id("comment.id"))], ""


_READERS: Mapping[str, Callable[[Fields], _Read]] = {
    "push": _push,
    "delete": _delete,
    "pull_request": _pull,
    "issue_comment": _comment,
    "pull_request_comment": _comment,
}
