"""What a delivery asks for: only of watched repositories, known by their numeric ids."""

import itertools
from datetime import UTC, datetime

import pytest

from fiat.engine.intake import Asked, asked
from fiat.engine.policy import RepoPolicy, matches
from fiat.run.delivery import Commented, Delivery, Happening, PullChanged, Pushed

NOW = datetime(2026, 1, 2, tzinfo=UTC)
COMMIT = "a" * 40
POLICY = RepoPolicy("acme/models", "github", id="42", branches=("main", "release/*"), tags=("v*",))


def told(
    *happenings: Happening, repo_id: str = "42", name: str = "acme/models", forge: str = "github"
) -> Delivery:
    return Delivery(forge, "d1", "k1", "push", repo_id, name, "7", "mona", happenings)


def ask(delivery: Delivery, policy: RepoPolicy = POLICY) -> Asked:
    ids = itertools.count()
    return asked(delivery, [policy], new_id=lambda: f"c{next(ids)}", now=NOW)


def test_a_push_to_a_watched_branch_becomes_a_change() -> None:
    (change,) = ask(told(Pushed("refs/heads/release/2", COMMIT))).changes
    assert (change.repo, change.commit, change.purpose, change.ref) == (
        "acme/models",
        COMMIT,
        "push",
        "refs/heads/release/2",
    )
    assert "mona" in change.cause


@pytest.mark.parametrize(
    "happening",
    [
        Pushed("refs/heads/feature", COMMIT),
        Pushed("refs/heads/main", ""),
        Pushed("refs/tags/nightly", COMMIT),
        PullChanged(1, "closed", COMMIT, "f", "refs/heads/main", fork=False),
        PullChanged(1, "other", COMMIT, "f", "refs/heads/main", fork=False),
        PullChanged(1, "opened", COMMIT, "f", "refs/heads/side", fork=False),
        PullChanged(1, "updated", COMMIT, "f", "refs/heads/side", fork=False),
    ],
)
def test_other_branches_deletions_and_labels_ask_for_nothing(happening: Happening) -> None:
    assert ask(told(happening)).changes == ()


def test_tags_are_watched_when_a_pattern_says_so() -> None:
    assert ask(told(Pushed("refs/tags/v1.0", COMMIT))).changes[0].ref == "refs/tags/v1.0"


def test_a_pull_request_becomes_a_change_of_its_head_for_its_base() -> None:
    happening = PullChanged(9, "updated", COMMIT, "patch", "refs/heads/main", fork=True, head_repo_id="99")
    (change,) = ask(told(happening)).changes
    assert (change.purpose, change.pull, change.fork, change.head_repo_id, change.ref) == (
        "pull_request",
        9,
        True,
        "99",
        "refs/heads/main",
    )


def test_a_comment_is_left_to_the_reconciler() -> None:
    found = ask(told(Commented("/fiat run", 9, "", "c")))
    assert found.later
    assert found.changes == ()


def test_a_repository_of_the_same_name_and_another_id_is_nobodys() -> None:
    assert ask(told(Pushed("refs/heads/main", COMMIT), repo_id="43")).repo is None


def test_a_renamed_repository_is_known_by_its_id() -> None:
    assert ask(told(Pushed("refs/heads/main", COMMIT), name="evil/other")).repo == POLICY


def test_the_name_of_another_forge_counts_nothing() -> None:
    assert ask(told(Pushed("refs/heads/main", COMMIT), forge="gitea")).repo is None


def test_without_a_pinned_id_the_name_counts() -> None:
    policy = RepoPolicy("acme/models", "github")
    assert ask(told(Pushed("refs/heads/main", COMMIT), name="Acme/Models"), policy).repo == policy
    assert ask(told(Pushed("refs/heads/main", COMMIT), name="acme/models2"), policy).repo is None


@pytest.mark.parametrize(
    ("name", "patterns", "found"),
    [
        ("main", ("main",), True),
        ("release/1", ("release/*",), True),
        ("release/1", ("*", "!release/*"), False),
        ("Main", ("main",), False),
        ("main", (), False),
    ],
)
def test_patterns_of_branches(name: str, patterns: tuple[str, ...], found: bool) -> None:
    assert matches(name, patterns) is found
