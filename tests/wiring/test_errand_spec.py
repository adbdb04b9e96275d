"""Which spec a claimed run obeys: gates in force wherever the spec lies, strangers by the base branch's word."""

import sys
from pathlib import Path

import pytest

from fiat.engine.checkouts import Checkouts
from fiat.engine.policy import RepoPolicy
from fiat.engine.watched import Watched
from fiat.errors import SpecErrors
from fiat.git.mirror import Mirror
from fiat.git.remote import Remote
from fiat.run.queue import Purpose, QueuedRun
from fiat.wiring.errand_spec import ErrandSpec, errand_spec

sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from git_repository import Repository

SPEC = """\
fiat: 1
name: scale
data: {rows: {source: {path: rows.csv}, label: y}}
train: {call: "train:train"}
evaluate: {metrics: [mae]}
gates: [{metric: mae, max: 1}]
"""
LOWERED = SPEC.replace("max: 1", "max: 1000")


class Stage:
    """A repository, its mirror, and a pull request's branch."""

    def __init__(self, folder: Path) -> None:
        self.upstream = Repository(folder / "upstream")
        self.base = self.upstream.commit({"a/spec.yaml": SPEC, "train.py": "def train(): ...\n"})
        remote = Remote(f"file://{self.upstream.folder}", protocols=frozenset({"file"}))
        self.watched = Watched(RepoPolicy("acme/models", "github"), Mirror(folder / "mirror", remote), None)
        self.checkouts = Checkouts(folder / "checkouts")
        self.upstream.git("checkout", "-q", "-b", "topic")

    def ask(
        self,
        files: dict[str, str | None],
        path: str = "a/spec.yaml",
        *,
        purpose: Purpose = "pull_request",
        fork: bool = False,
    ) -> ErrandSpec:
        for name in [name for name, text in files.items() if text is None]:
            self.upstream.git("rm", "-q", name)
        head = self.upstream.commit({name: text for name, text in files.items() if text is not None})
        self.watched.mirror.fetch()
        run = QueuedRun(
            id="r1",
            change="c1",
            repo="acme/models",
            commit=head,
            purpose=purpose,
            ref="refs/heads/main",
            spec="scale",
            spec_path=path,
            pull=7 if purpose == "pull_request" else 0,
            fork=fork,
        )
        return errand_spec(run, self.watched, self.checkouts)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def limit(found: ErrandSpec) -> object:
    return found.loaded.spec.gates[0].max


def test_a_pull_request_is_judged_by_the_gates_in_force_and_says_what_it_changes(stage: Stage) -> None:
    found = stage.ask({"a/spec.yaml": LOWERED})
    assert limit(found) == 1
    assert [key for key, _, _ in found.changed] == ["gates"]


def test_moving_the_spec_does_not_drop_the_gates_in_force(stage: Stage) -> None:
    found = stage.ask({"a/spec.yaml": None, "b/spec.yaml": LOWERED}, "b/spec.yaml")
    assert limit(found) == 1
    assert [key for key, _, _ in found.changed] == ["gates"]


def test_a_new_spec_is_judged_by_its_own_gates_which_is_said(stage: Stage) -> None:
    found = stage.ask({"b/spec.yaml": LOWERED.replace("scale", "other")}, "b/spec.yaml")
    assert limit(found) == 1000
    assert [key for key, _, _ in found.changed] == ["gates"]


def test_a_stranger_runs_by_the_base_branchs_spec_alone(stage: Stage) -> None:
    found = stage.ask(
        {"a/spec.yaml": LOWERED.replace("train:train", "evil:train"), "train.py": "# theirs\n"}, fork=True
    )
    assert limit(found) == 1
    assert found.loaded.spec.train is not None
    assert found.loaded.spec.train.call == "train:train"
    assert (found.root / "train.py").read_text() == "# theirs\n"


def test_gates_that_do_not_fit_the_new_spec_are_an_error_and_not_left_out(stage: Stage) -> None:
    with pytest.raises(SpecErrors, match="gates of main don't fit"):
        stage.ask(
            {"a/spec.yaml": SPEC.replace("evaluate: {metrics: [mae]}\ngates: [{metric: mae, max: 1}]\n", "")}
        )


def test_what_is_merged_counts_as_it_stands(stage: Stage) -> None:
    assert limit(stage.ask({"a/spec.yaml": LOWERED}, purpose="push")) == 1000
