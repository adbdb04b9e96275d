"""Webhooks as each forge words and signs them, and pull requests as its API tells them."""

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ZEROS = "0" * 40
HOOK_SECRET = "a-webhook-secret-for-tests"
# GitLab's newer way: a key that signs, as base64.
SIGNING_SECRET = "whsec_" + base64.b64encode(b"a-signing-secret-for-tests").decode()
Person = tuple[int, str]


@dataclass(frozen=True)
class Place:
    """A repository as its forge tells it.

    Attributes:
        flavour: `github`, `gitlab`, `gitea` or `forgejo`.
        id: numeric.
        name: `owner/name`.
        fork_id: numeric id of a stranger's fork.
    """

    flavour: str
    id: int
    name: str
    fork_id: int

    @property
    def gitlab(self) -> bool:
        """Whether it speaks GitLab's words."""
        return self.flavour == "gitlab"

    @property
    def document(self) -> dict[str, Any]:
        """The repository within a webhook."""
        if self.gitlab:
            return {"id": self.id, "path_with_namespace": self.name, "default_branch": "main"}
        return {
            "id": self.id,
            "full_name": self.name,
            "name": self.name.partition("/")[2],
            "owner": {"id": 1, "login": self.name.partition("/")[0]},
            "default_branch": "main",
            "fork": False,
        }

    def pull_ref(self, number: int) -> str:
        """Where the forge keeps the head of a pull request."""
        return f"refs/{'merge-requests' if self.gitlab else 'pull'}/{number}/head"

    def who(self, person: Person) -> dict[str, Any]:
        """The part of a webhook that says who did it."""
        if self.gitlab:
            return {"user": {"id": person[0], "username": person[1]}, "project": self.document}
        return {"sender": {"id": person[0], "login": person[1]}, "repository": self.document}

    def push(self, ref: str, commit: str, before: str, person: Person) -> tuple[str, dict[str, Any]]:
        """A branch or tag moved: event and body."""
        if self.gitlab:
            kind = "tag_push" if ref.startswith("refs/tags/") else "push"
            body = {
                "object_kind": kind,
                "ref": ref,
                "before": before,
                "after": commit,
                "checkout_sha": None if commit == ZEROS else commit,
                "user_id": person[0],
                "user_username": person[1],
                "project_id": self.id,
                "project": self.document,
                "commits": [],
            }
            return "Tag Push Hook" if kind == "tag_push" else "Push Hook", body
        return "push", {
            "ref": ref,
            "before": before,
            "after": commit,
            "created": before == ZEROS,
            "deleted": commit == ZEROS,
            "forced": False,
            "pusher": {"name": person[1]},
            "commits": [],
            **self.who(person),
        }

    def pull(
        self, number: int, commit: str, base: str, person: Person, *, fork: bool, title: str
    ) -> dict[str, Any]:
        """An open pull request to main as the API tells it."""
        if self.gitlab:
            return {
                "iid": number,
                "sha": commit,
                "title": title,
                "state": "opened",
                "source_branch": f"patch-{number}",
                "target_branch": "main",
                "source_project_id": self.fork_id if fork else self.id,
                "target_project_id": self.id,
                "author": {"id": person[0], "username": person[1]},
            }
        head = {"id": self.fork_id, "full_name": "mallory/models", "fork": True} if fork else self.document
        return {
            "id": number + 10_000,
            "number": number,
            "state": "open",
            "title": title,
            "user": {"id": person[0], "login": person[1]},
            "head": {"ref": f"patch-{number}", "sha": commit, "repo": head},
            "base": {"ref": "main", "sha": base, "repo": self.document},
        }

    def pulled(self, action: str, pull: Mapping[str, Any], person: Person) -> tuple[str, dict[str, Any]]:
        """A pull request was opened, updated (`synchronize`) or closed: event and body."""
        if self.gitlab:
            words = {"opened": "open", "synchronize": "update", "closed": "merge"}
            attributes = {
                **{name: pull[name] for name in ("iid", "title", "source_branch", "target_branch")},
                **{name: pull[name] for name in ("source_project_id", "target_project_id")},
                "action": words[action],
                "last_commit": {"id": pull["sha"]},
            }
            if action == "synchronize":
                attributes["oldrev"] = ZEROS
            body = {"object_kind": "merge_request", "object_attributes": attributes, **self.who(person)}
            return "Merge Request Hook", body
        word = "synchronized" if action == "synchronize" and self.flavour != "github" else action
        return "pull_request", {
            "action": word,
            "number": pull["number"],
            "pull_request": pull,
            **self.who(person),
        }

    def comment(self, number: int, text: str, person: Person) -> tuple[str, dict[str, Any]]:
        """Somebody wrote under a pull request: event and body."""
        comment_id = uuid.uuid4().int % 10**9
        if self.gitlab:
            note = {"id": comment_id, "note": text, "noteable_type": "MergeRequest", "action": "create"}
            request = {"iid": number, "target_branch": "main"}
            body = {"object_kind": "note", "object_attributes": note, "merge_request": request}
            return "Note Hook", {**body, **self.who(person)}
        return "issue_comment", {
            "action": "created",
            "is_pull": True,
            "issue": {"number": number, "pull_request": {"url": "x"}},
            "comment": {"id": comment_id, "body": text, "user": {"id": person[0], "login": person[1]}},
            **self.who(person),
        }

    def headers(self, event: str, body: bytes, delivery: str) -> dict[str, str]:
        """What the forge sends beside the body, its proof included."""
        plain = {"Content-Type": "application/json"}
        if self.gitlab:
            return plain | _gitlab_proof(event, body, delivery)
        digest = hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        marks = {"github": (), "gitea": ("Gitea",), "forgejo": ("Forgejo", "Gitea")}[self.flavour]
        found = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery,
            "X-Hub-Signature-256": f"sha256={digest}",
            "User-Agent": "GitHub-Hookshot/abc" if self.flavour == "github" else "Go-http-client/1.1",
        }
        for mark in marks:
            found |= {
                f"X-{mark}-Event": event,
                f"X-{mark}-Delivery": delivery,
                f"X-{mark}-Signature": digest,
            }
        return plain | found


def _gitlab_proof(event: str, body: bytes, delivery: str) -> dict[str, str]:
    """Merge requests are proven by the signing token, everything else by the plain one: a hook may have either."""
    told = {"X-Gitlab-Event": event, "X-Gitlab-Event-UUID": delivery, "Idempotency-Key": delivery}
    if event != "Merge Request Hook":
        return {**told, "X-Gitlab-Token": HOOK_SECRET}
    stamp = str(int(time.time()))
    key = base64.b64decode(SIGNING_SECRET.removeprefix("whsec_"))
    mac = hmac.new(key, f"{delivery}.{stamp}.".encode() + body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(mac).decode()
    return {
        **told,
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": signature,
    }
