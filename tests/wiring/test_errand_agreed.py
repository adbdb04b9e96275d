"""Who agreed to what a claimed run deploys, and what it holds."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fiat.engine.asks import agreed_key
from fiat.engine.release import Releaser
from fiat.engine.silent import SilentReporter
from fiat.run.queue import QueuedRun
from fiat.spec.load import load_spec
from fiat.store.store import open_store
from fiat.wiring.errand_desk import open_errand_desk
from fiat.wiring.errand_spec import ErrandSpec
from fiat.wiring.runner_reading import read_runner_settings

NOW = datetime(2026, 5, 1, tzinfo=UTC)
RUN = QueuedRun("r1", "c1", "acme/models", "c" * 40, "push", "refs/heads/main", "rides", "spec.yaml")
SPEC = """\
fiat: 1
name: rides
data: {rows: {source: {path: rows.csv}, label: y, split: {train: 8, test: 2}}}
train: {call: "train:train"}
evaluate: {metrics: [mae]}
deploy: {production: {to: directory, path: models, approval: true}}
"""
RUNNER = """\
fiat_runner: 1
store: state
repositories:
  - name: acme/models
    forge: github
    url: https://github.com/acme/models.git
    webhooks: false
    targets: {production: {path: models}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A runner whose store says that somebody agreed to the commit."""
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "runner.yaml").write_text(RUNNER)
    with open_store(tmp_path / "state", now=lambda: NOW) as store:
        store.marks.set(agreed_key("acme/models", RUN.commit), "mona")
    return tmp_path


def releaser(folder: Path, run: QueuedRun) -> Releaser:
    settings = read_runner_settings(folder / "runner.yaml", {})
    loaded = load_spec(folder / "spec.yaml", root=folder, builtins={"commit": run.commit, "ref": "main"})
    policy = settings.repositories[0].policy
    desk = open_errand_desk(run, ErrandSpec(loaded, folder), policy, settings, lambda: None, {})
    with closing(desk.store):
        return desk.releaser(SilentReporter())


@pytest.mark.parametrize(
    ("purpose", "approver"), [("push", "mona"), ("manual", "mona"), ("schedule", ""), ("data", "")]
)
def test_what_a_clock_or_new_data_makes_of_an_agreed_commit_is_agreed_to_by_nobody(
    folder: Path, purpose: str, approver: str
) -> None:
    assert releaser(folder, replace(RUN, purpose=purpose)).approver == approver  # type: ignore[arg-type]


def test_an_agreement_to_one_commit_is_none_to_another(folder: Path) -> None:
    assert releaser(folder, replace(RUN, commit="d" * 40)).approver == ""


def test_only_a_rollback_holds_what_stood_there(folder: Path) -> None:
    assert releaser(folder, replace(RUN, purpose="rollback")).goes_back
    assert not releaser(folder, RUN).goes_back
