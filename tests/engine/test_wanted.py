"""Which specs want a run for a change, and which runs exclude each other."""

import pytest

from fiat.engine.wanted import group_of, wanted
from fiat.run.queue import Change
from fiat.spec.model import Spec
from fiat.spec.trigger_section import Concurrency, PullRequest, Push, Triggers

MAIN = "refs/heads/main"


def change(**fields: object) -> Change:
    usual = {"id": "c1", "repo": "acme/models", "commit": "ab" * 20, "purpose": "push", "ref": MAIN}
    return Change(**{**usual, **fields})  # type: ignore[arg-type]


def spec(triggers: Triggers | None = None, concurrency: Concurrency | None = None) -> Spec:
    return Spec(fiat=1, name="digits", triggers=triggers, concurrency=concurrency)


PULLED = change(purpose="pull_request", pull=7)
QUEUED = change(purpose="pull_request")


@pytest.mark.parametrize(
    ("triggers", "of", "runs"),
    [
        (None, change(), True),
        (None, PULLED, True),
        (Triggers(push=Push()), change(), True),
        (Triggers(push=Push()), PULLED, False),
        (Triggers(push=Push(branches=("release/*",))), change(), False),
        (Triggers(push=Push()), change(ref="refs/tags/v1"), False),
        (Triggers(push=Push(tags=("v*",))), change(ref="refs/tags/v1"), True),
        (Triggers(pull_request=PullRequest(branches=("main",))), PULLED, True),
        (Triggers(pull_request=PullRequest(branches=("dev",))), PULLED, False),
        (Triggers(comment="judge"), PULLED, False),
        (Triggers(comment="judge"), change(purpose="pull_request", pull=7, specs=("digits",)), True),
        (Triggers(comment="judge"), change(purpose="schedule"), True),
    ],
)
def test_triggers_say_what_starts_a_spec_and_a_person_who_names_it_does(
    triggers: Triggers | None, of: Change, runs: bool
) -> None:
    assert wanted(spec(triggers), of) is runs


@pytest.mark.parametrize(
    ("of", "group", "supersede"),
    [
        (change(), "acme/models digits-main", True),
        (PULLED, "acme/models/pull digits-pull/7", True),
        (change(purpose="manual"), "acme/models digits-main", False),
        (change(purpose="schedule"), "acme/models digits-main", False),
        (QUEUED, f"acme/models/pull digits-{'ab' * 20}", False),
    ],
)
def test_a_newer_run_of_a_line_ends_the_older_but_not_in_a_merge_queue(
    of: Change, group: str, supersede: bool
) -> None:
    assert group_of(spec(), of) == (group, supersede)


def test_a_group_of_the_spec_is_one_of_its_repository() -> None:
    own = Concurrency(group="gpu", supersede=True)
    assert group_of(spec(concurrency=own), change()) == ("acme/models gpu", True)
    assert group_of(spec(concurrency=own), QUEUED) == ("acme/models/pull gpu", False)


@pytest.mark.parametrize("name", ["digits-main", "pull digits-main", "/pull digits-main", "digits-pull/7"])
def test_no_name_makes_a_pull_requests_group_one_of_a_branch(name: str) -> None:
    named = spec(concurrency=Concurrency(group=name))
    assert group_of(named, PULLED)[0] not in {
        group_of(one, change())[0]
        for one in (spec(), named, spec(concurrency=Concurrency(group=f"/pull {name}")))
    }
