"""Whatever stands where, a signed delivery is read or refused, and what is read can be stored anywhere."""

import copy
import json
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest

from fiat.builtin.trigger_gitea import ForgejoTrigger, GiteaTrigger
from fiat.builtin.trigger_github import GithubTrigger
from fiat.builtin.trigger_gitlab import GitlabTrigger
from fiat.errors import SpecError
from fiat.ports.trigger import Trigger

C = "a" * 40
REPO = {"id": 11, "full_name": "a/b"}
HEAD = {"ref": "t", "sha": C, "repo": REPO}
PULL = {
    "action": "opened",
    "pull_request": {"number": 5, "head": HEAD, "base": {"ref": "main", "repo": REPO}},
}
ISSUE = {"number": 5, "pull_request": {}}
COMMENT = {
    "action": "created",
    "issue": ISSUE,
    "comment": {"id": 9, "body": "x", "commit_id": C},
    "is_pull": True,
}
PUSH = {"ref": "refs/tags/x", "before": C, "after": C, "deleted": False, "head_commit": {"id": C}}
RUN = {"id": 4, "head_sha": C, "name": "n", "completed_at": "t", "updated_at": "t"}
GROUP = {"head_sha": C, "head_ref": "refs/heads/gh-readonly-queue/m/1", "base_ref": "refs/heads/m"}
BUTTON = {"action": "requested_action", "check_run": RUN, "requested_action": {"identifier": "b"}}
MERGE = {
    "iid": 3,
    "action": "update",
    "oldrev": C,
    "source_branch": "t",
    "target_branch": "m",
    "source_project_id": 1,
    "last_commit": {"id": C},
}
NOTE = {"id": 1, "note": "x", "noteable_type": "MergeRequest", "system": False}
LAB = {"project": {"id": 11, "path_with_namespace": "a/b"}, "user": {"id": 1, "username": "u"}, "user_id": 1}
BODIES: list[tuple[Trigger, str, dict[str, Any]]] = [
    *[
        (GithubTrigger(), event, {"repository": REPO, "sender": {"id": 1, "login": "u"}, **body})
        for event, body in [
            ("push", PUSH),
            ("pull_request", {**PULL, "changes": {"base": {}}}),
            ("issue_comment", COMMENT),
            ("commit_comment", COMMENT),
            ("check_run", BUTTON),
            ("check_suite", {"action": "rerequested", "check_suite": RUN}),
            ("merge_group", {"action": "checks_requested", "merge_group": GROUP}),
        ]
    ],
    *[
        (trigger, event, {"repository": REPO, "sender": {"id": 1, "login": "u"}, **body})
        for trigger in (GiteaTrigger(), ForgejoTrigger())
        for event, body in [
            ("push", PUSH),
            ("pull_request", PULL),
            ("issue_comment", COMMENT),
            ("delete", {"ref": "x", "ref_type": "branch"}),
        ]
    ],
    *[
        (GitlabTrigger(), "", {**LAB, **body})
        for body in [
            {"object_kind": "push", **PUSH, "checkout_sha": C},
            {"object_kind": "merge_request", "object_attributes": MERGE, "changes": {"target_branch": {}}},
            {
                "object_kind": "note",
                "object_attributes": NOTE,
                "merge_request": {"iid": 3},
                "commit": {"id": C},
            },
            {
                "object_kind": "note",
                "object_attributes": {**NOTE, "noteable_type": "Commit"},
                "commit": {"id": C},
            },
        ]
    ],
]
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    2**70,
    1.5,
    "",
    "x",
    "\x00\ud800\u202e",
    "0" * 40,
    "refs/heads/\n",
    [],
    [[1]],
    {},
    {"id": {}},
]


def paths(data: Any, top: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if top:
        yield top
    if isinstance(data, dict):
        for name, value in data.items():
            yield from paths(value, (*top, name))


def replaced(data: dict[str, Any], path: tuple[Any, ...], value: Any) -> bytes:
    copied = copy.deepcopy(data)
    place = copied
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return json.dumps(copied).encode()


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)
    elif hasattr(value, "__dataclass_fields__"):
        for field in fields(value):
            yield from texts(getattr(value, field.name))


@pytest.mark.parametrize(("trigger", "event", "body"), BODIES, ids=lambda value: getattr(value, "name", ""))
def test_anything_anywhere_is_read_or_refused(trigger: Trigger, event: str, body: dict[str, Any]) -> None:
    headers = {f"x-{trigger.name}-event": event}
    assert trigger.read(headers, json.dumps(body).encode()).happenings
    n_read = n_refused = 0
    for path in paths(body):
        for value in ODD:
            try:
                delivery = trigger.read(headers, replaced(body, path, value))
            except SpecError:
                n_refused += 1
                continue
            n_read += 1
            assert all("\x00" not in text and len(text.encode("utf-8")) < 70_000 for text in texts(delivery))
            assert isinstance(delivery.repo_id, str)
    assert n_read
    assert n_refused
