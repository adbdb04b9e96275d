"""Trigger `github`: reads GitHub's webhooks, of a repository or of an App.

Source: https://docs.github.com/en/webhooks/webhook-events-and-payloads
"""

from collections.abc import Callable, Mapping, Sequence

from fiat.builtin.trigger_delivery import AGAIN, make_delivery
from fiat.builtin.trigger_json import Fields, read_form, read_object
from fiat.builtin.trigger_signature import signed_hub
from fiat.run.delivery import Commented, Delivery, Happening, PullAction, PullChanged, Pushed, Rerequested

COMMENT_LIMIT = 65_536
_FORM = "application/x-www-form-urlencoded"
_QUEUE = "refs/heads/gh-readonly-queue/"
_ACTIONS: Mapping[str, PullAction] = {
    "opened": "opened",
    "reopened": "opened",
    "ready_for_review": "opened",
    "synchronize": "updated",
    "closed": "closed",
}


class GithubTrigger:
    """`github`: signed with `X-Hub-Signature-256` over the raw body; SHA-1 alone does not count."""

    name = "github"
    order = 40

    def recognises(self, headers: Mapping[str, str]) -> bool:
        """Whether GitHub's event header is there; Gitea and Forgejo send it too and are asked first."""
        return "x-github-event" in headers

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        """Whether the body is signed by one of the secrets; see the port."""
        return signed_hub(body, headers.get("x-hub-signature-256", ""), secrets)

    def read(self, headers: Mapping[str, str], body: bytes) -> Delivery:
        """What the delivery tells; see the port."""
        form = headers.get("content-type", "").lower().startswith(_FORM)
        said = read_form(body) if form else read_object(body)
        event = headers.get("x-github-event", "")
        happenings, more = _READERS.get(event, _nothing)(said)
        return make_delivery(
            self.name,
            headers,
            body,
            id_headers=("x-github-delivery",),
            event=event,
            repo_id=said.id("repository.id"),
            repo_name=said.text("repository.full_name"),
            sender_id=said.id("sender.id"),
            sender_name=said.text("sender.login"),
            happenings=happenings,
            more=more,
        )


_Read = tuple[list[Happening], str]


def _nothing(_: Fields) -> _Read:
    return [], ""


def _push(said: Fields) -> _Read:
    ref = said.ref("ref")
    if ref.startswith(_QUEUE):
        # `merge_group` tells of the same commit, and for which branch it is meant.
        return [], ""
    before = said.commit("before")
    commit = "" if said.at("deleted") is True else said.commit("after")
    if commit and ref.startswith("refs/tags/") and said.at("head_commit.id") is not None:
        commit = said.commit("head_commit.id")  # `after` is the tag object of an annotated tag
    return [Pushed(ref, commit, before)], ""


def _pull(said: Fields) -> _Read:
    word = said.text("action")
    moved = word == "edited" and said.at("changes.base") is not None
    head_id, own_id = said.id("pull_request.head.repo.id"), said.id("repository.id")
    fork = not head_id or head_id != own_id
    return [
        PullChanged(
            number=said.number("pull_request.number"),
            action="updated" if moved else _ACTIONS.get(word, "other"),
            commit=said.commit("pull_request.head.sha"),
            head_ref=said.text("pull_request.head.ref"),
            base_ref=said.ref("pull_request.base.ref", "refs/heads/"),
            fork=fork,
            head_repo_id=head_id if fork else "",
        )
    ], f"{word} {said.text('pull_request.updated_at') if word in AGAIN else ''}".strip()


def _merge_group(said: Fields) -> _Read:
    if said.text("action") != "checks_requested":
        return [], ""
    return [
        PullChanged(
            number=0,
            action="updated",
            commit=said.commit("merge_group.head_sha"),
            head_ref=said.ref("merge_group.head_ref").removeprefix("refs/heads/"),
            base_ref=said.ref("merge_group.base_ref"),
            fork=False,
        )
    ], ""


def _issue_comment(said: Fields) -> _Read:
    if said.text("action") != "created" or not isinstance(said.at("issue.pull_request"), Mapping):
        return [], ""
    number = said.number("issue.number")
    return [Commented(said.text("comment.body", COMMENT_LIMIT), number, "", said.id("comment.id"))], ""


def _commit_comment(said: Fields) -> _Read:
    if said.text("action") != "created":
        return [], ""
    text, commit = said.text("comment.body", COMMENT_LIMIT), said.commit("comment.commit_id")
    return [Commented(text, 0, commit, said.id("comment.id"))], ""


def _check_run(said: Fields) -> _Read:
    word = said.text("action")
    if word not in ("rerequested", "requested_action"):
        return [], ""
    button = said.text("requested_action.identifier") if word == "requested_action" else ""
    if word == "requested_action" and not button:
        return [], ""
    # Only the App that made the check is told, so there is no second hook; a later press on the same check must count.
    more = f"{said.id('check_run.id')} {said.text('check_run.completed_at')}"
    return [Rerequested(said.commit("check_run.head_sha"), said.text("check_run.name"), button)], more


def _check_suite(said: Fields) -> _Read:
    if said.text("action") != "rerequested":
        return [], ""
    more = f"{said.id('check_suite.id')} {said.text('check_suite.updated_at')}"
    return [Rerequested(said.commit("check_suite.head_sha"), "")], more


_READERS: Mapping[str, Callable[[Fields], _Read]] = {
    "push": _push,
    "pull_request": _pull,
    "merge_group": _merge_group,
    "issue_comment": _issue_comment,
    "commit_comment": _commit_comment,
    "check_run": _check_run,
    "check_suite": _check_suite,
}
