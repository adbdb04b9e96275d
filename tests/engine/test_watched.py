"""A pinned id binds git, too: whoever takes the repository's name gets nothing run."""

from pathlib import Path

import pytest

from fiat.engine.policy import RepoPolicy
from fiat.engine.watched import SURE_S, Watched
from fiat.errors import Stalled, Waiting
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.testing.fake_forge import FakeForge


class Hands:
    """Monotonic seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def watched(folder: Path, forge: FakeForge | None, hands: Hands, pinned: str = "4711") -> Watched:
    mirror = Mirror(folder / "mirror", Remote("https://forge.example/acme/models"))
    return Watched(RepoPolicy("acme/models", "github", id=pinned), mirror, forge, hands)


def test_another_repository_of_the_name_stalls_with_the_next_step_as_soon_as_it_is_asked_for_again(
    tmp_path: Path,
) -> None:
    forge, hands = FakeForge(), Hands()
    repo = watched(tmp_path, forge, hands)
    repo.assure_identity()
    forge.renamed_to = "999"
    repo.assure_identity()
    hands.now_s += SURE_S
    for _ in range(2):
        with pytest.raises(Stalled, match="has id 999 .* pin 4711") as caught:
            repo.assure_identity()
        assert "set `name`" in caught.value.hint
    forge.renamed_to = "4711"
    repo.assure_identity()


def test_a_forge_that_does_not_say_lets_nothing_through(tmp_path: Path) -> None:
    forge = FakeForge()
    forge.fail(Waiting("busy"))
    with pytest.raises(Waiting):
        watched(tmp_path, forge, Hands()).assure_identity()


def test_without_a_pin_or_a_credential_nobody_is_asked(tmp_path: Path) -> None:
    forge = FakeForge()
    forge.fail(Waiting("asked"))
    watched(tmp_path, forge, Hands(), pinned="").assure_identity()
    watched(tmp_path, None, Hands()).assure_identity()
