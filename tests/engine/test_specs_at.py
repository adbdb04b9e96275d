"""Specs are read for their triggers once for each content, and what nobody uses is forgotten."""

import sys
from pathlib import Path

from fiat.engine.policy import RepoPolicy
from fiat.engine.specs_at import SpecsAt
from fiat.engine.watched import Watched
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from git_repository import Repository

SPEC = "fiat: 1\nname: {name}\nsteps:\n  one: {{run: 'echo 1 > {{out.a}}', out: {{a: file}}}}\n"


def names(specs: SpecsAt, watched: Watched, commit: str) -> list[str]:
    paths = watched.mirror.spec_files(commit, watched.policy.specs)
    return [read.name for read in specs.cards(watched, commit, paths)]


def test_cards_are_right_however_few_are_remembered(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "work")
    first = repository.commit({f"{name}/spec.yaml": SPEC.format(name=name) for name in ("a", "b", "c", "d")})
    second = repository.commit({"b/spec.yaml": SPEC.format(name="other")})
    remote = Remote(f"file://{repository.folder}", protocols=frozenset({"file"}))
    watched = Watched(RepoPolicy("acme/models", "github"), Mirror(tmp_path / "mirror", remote), None)
    watched.mirror.fetch()
    specs = SpecsAt(remembered=3)
    for _ in range(2):
        assert names(specs, watched, first) == ["a", "b", "c", "d"]
        assert names(specs, watched, second) == ["a", "other", "c", "d"]
        assert len(specs._seen) == 3
