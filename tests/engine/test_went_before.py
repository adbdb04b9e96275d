"""What a rollback goes back to, also the second time."""

from datetime import UTC, datetime
from pathlib import Path

from fiat.engine.went_before import left_behind, went_before
from fiat.run.deployment import Deployment, Hold
from fiat.run.model import Release
from fiat.store.store import open_store

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def releases(*line: tuple[int, str] | tuple[int, str, str]) -> list[Release]:
    """Of (commit, digest) or (commit, digest, branch), the oldest first; gives the newest first."""
    found = [
        Release("acme/models:shop", "", (*one, "main")[2], str(one[0]) * 40, "r", one[1], one[1], NOW)
        for one in line
    ]
    return found[::-1]


def back(*line: tuple[int, str] | tuple[int, str, str]) -> str:
    """Digest of the model that is gone back to, empty for none."""
    found = went_before(releases(*line))
    return found.digest if found is not None else ""


def test_a_rollback_goes_to_the_model_before_and_a_second_one_further_back_never_to_the_bad_one() -> None:
    assert back((0, "d0"), (1, "d1"), (2, "d2")) == "d1"
    assert back((0, "d0"), (1, "d1"), (2, "d2"), (1, "d1")) == "d0"
    assert back((0, "d0"), (1, "d1"), (2, "d2"), (1, "d1"), (0, "d0")) == ""
    assert back((1, "d1"), (2, "d2"), (1, "d1"), (3, "d3")) == "d1"


def test_the_same_model_of_another_commit_is_no_step_back() -> None:
    assert back((1, "d1"), (2, "d2"), (3, "d2")) == "d1"
    assert back((1, "d1"), (2, "d2"), (3, "d1")) == "d2", "a revert, not a rollback"


def test_only_the_branch_that_released_last_counts() -> None:
    assert back((1, "d1"), (9, "d9", "prod"), (2, "d2")) == "d1"
    assert back((1, "d1"), (9, "d9", "prod")) == ""


def test_without_a_release_there_is_nothing_to_go_back_to() -> None:
    assert back() == ""
    assert back((1, "d1")) == ""


def test_what_a_rollout_refused_or_somebody_left_is_nothing_to_go_back_to(tmp_path: Path) -> None:
    with open_store(tmp_path, now=lambda: NOW) as store:
        holds = (
            ("acme/models:live:shop", "d2"),
            ("acme/models:shelf:shop", "d3"),
            ("acme/models2:x:shop", "d1"),
        )
        for place, digest in (*holds, ("acme/models:live:shop", "")):
            store.deployments.hold(Hold(place, "c", digest, "rollout", "slower", NOW))
        standing = Deployment(
            "acme/models:live:shop", "directory", "live", "shop", "shop", "d3", "c", "r", 1, "", NOW
        )
        store.deployments.begin(standing)
        assert left_behind(store, "acme/models") == {"d2"}
