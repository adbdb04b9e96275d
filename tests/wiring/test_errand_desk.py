"""What a claimed run may see: of what is served, only where its code is not a stranger's."""

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from fiat.engine.policy import RepoPolicy
from fiat.plan.model import Ref
from fiat.run.deployment import Deployment
from fiat.run.queue import QueuedRun
from fiat.serving.place import Place
from fiat.spec.load import load_spec
from fiat.store.store import open_store
from fiat.wiring.errand_desk import ErrandDesk, open_errand_desk
from fiat.wiring.errand_spec import ErrandSpec
from fiat.wiring.grounds import runner_ground
from fiat.wiring.runner_reading import read_runner_settings
from fiat.wiring.runner_settings import RunnerSettings
from fiat.wiring.served import find_served
from tests.monitor.watch_stage import logged, reference, release, two_columns, write_log

NOW = datetime(2026, 5, 1, tzinfo=UTC)
DRAW = np.random.default_rng(2)
SPEC = """\
fiat: 1
name: rides
data:
  rows: {source: {path: rows.csv}, label: y, split: {train: 8, test: 2}, checks: [{skew: {against: serving, max: 0.1}}]}
train: {call: "train:train"}
evaluate: {}
monitor: {log: {}}
deploy: {production: {to: service}}
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
RUN = QueuedRun("r1", "c1", "acme/models", "c" * 40, "push", "refs/heads/main", "rides", "spec.yaml")


class Stage:
    """A runner whose repository has a service that was asked."""

    def __init__(self, folder: Path) -> None:
        (folder / "code").mkdir()
        (folder / "code" / "spec.yaml").write_text(SPEC)
        (folder / "runner.yaml").write_text(RUNNER)
        self.root = folder / "code"
        self.settings: RunnerSettings = read_runner_settings(folder / "runner.yaml", {})
        self.policy: RepoPolicy = self.settings.repositories[0].policy
        place = Place(folder / "models" / "services" / "production" / "rides")
        release(place, reference(two_columns(DRAW, 500)))
        write_log(place, logged(two_columns(DRAW, 200)))
        with open_store(self.settings.store, now=lambda: NOW) as store:
            wanted = Deployment(
                "acme/models:production:rides", "service", "production", "rides", "acme/models:rides", "a.dir",
                "c", "r", 1, "a test", NOW, settings={"to": "service", "model": "rides"},
            )  # fmt: skip
            store.deployments.begin(wanted)
            self.digest = find_served(
                store,
                "rides",
                "acme/models:rides",
                lambda target: runner_ground(self.settings, self.policy, target),
            )

    def desk(self, run: QueuedRun) -> ErrandDesk:
        loaded = load_spec(
            self.root / "spec.yaml", root=self.root, builtins={"commit": run.commit, "ref": "main"}
        )
        found = ErrandSpec(loaded, self.root)
        return open_errand_desk(run, found, self.policy, self.settings, lambda: None, {})


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_run_of_our_own_sees_what_clients_sent_to_the_service_of_its_repository(stage: Stage) -> None:
    assert stage.digest
    desk = stage.desk(RUN)
    assert desk.plan.step("check.rows").inputs["serving"] == Ref("@serving", "profile")
    with closing(desk.store):
        assert desk.served() == stage.digest
        assert desk.facts()["sees_served"] is True


def test_a_strangers_run_sees_nothing_of_it(stage: Stage) -> None:
    desk = stage.desk(replace(RUN, fork=True, purpose="pull_request", pull=7, head_repo_id="4711"))
    with closing(desk.store):
        assert desk.served() == ""
        assert desk.facts()["sees_served"] is False
