"""A service that a runner deploys, while clients ask and no request fails.

A worse model goes back by itself and is held, a revert brings the earlier one back without training, and what somebody
breaks is mended.
"""

import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.e2e.runner_stage import FILES, RunnerStage, runner_stage

pytestmark = pytest.mark.slow
PUSH = "fiat/push"
CONTEXT = "fiat/deploy/leaves/production"
SPEC = """\
fiat: 1
name: leaves
params: {trees: 20, spoil: false}
data:
  leaves: {source: {path: leaves.csv}, label: species, split: {train: 8, test: 2, key: id}}
train: {call: "train:train", with: {trees: "${params.trees}", spoil: "${params.spoil}"}}
evaluate: {metrics: [accuracy]}
deploy:
  production:
    to: service
    rollout:
      shadow: {percent: 100, hold: 3s}
      steps: [100]
      hold: 2s
      min_requests: 20
      abort_on: {disagreement: 0.2}
"""
TRAIN = """\
import numpy as np
from sklearn.ensemble import RandomForestClassifier


def train(data, run, trees, spoil):
    labels = data.train.labels
    if spoil:
        labels = np.array(["abc"[("abc".index(label) + 1) % 3] for label in labels])
    return RandomForestClassifier(trees, random_state=run.seed).fit(data.train.features, labels)
"""
WORSE = SPEC.replace("spoil: false", "spoil: true")
OTHER = SPEC.replace("trees: 20", "trees: 21")


class Clients:
    """Asks a service for predictions, one request after the other, and remembers what failed."""

    def __init__(self) -> None:
        self.url = ""
        self.failures: list[str] = []
        self.versions: list[str] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> "Clients":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        number = 0
        while not self._over.wait(0.005):
            if not self.url:
                continue
            number += 1
            body = {"id": f"r{number}", "inputs": [{"name": "features", "shape": [1, 2], "datatype": "FP32"}]}
            body["inputs"][0]["data"] = [(number % 3) * 2 + 0.1, 3 - number % 3 + 0.2]  # type: ignore[index]
            try:
                answer = post(f"{self.url}/v2/models/leaves/infer", body)
                self.versions.append(str(answer["model_version"]))
            except Exception as error:
                self.failures.append(f"{time.monotonic():.2f} {error}")


def post(url: str, body: Any) -> Any:
    request = urllib.request.Request(url, data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerStage]:
    with runner_stage(tmp_path_factory.mktemp("targets")) as stage:
        stage.settings["reconcile_every"] = "2s"
        stage.entry["targets"] = {"production": {"path": "production"}}
        stage.start()
        try:
            yield stage
        finally:
            for process in services(stage):
                process.kill()


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    with Clients() as clients:
        yield clients


@pytest.fixture(scope="module")
def first(stage: RunnerStage, clients: Clients) -> str:
    commit = stage.pushed({**FILES, "train.py": TRAIN, "spec.yaml": SPEC}, "a model of leaves")
    stage.wait_state(commit, PUSH, "success")
    clients.url = server(stage)["url"]
    return commit


def folder(stage: RunnerStage) -> Path:
    return next(stage.folder.rglob("server.json")).parent


def server(stage: RunnerStage) -> Any:
    return json.loads((folder(stage) / "server.json").read_text())


def services(stage: RunnerStage) -> list[psutil.Process]:
    """Keeper and server of the service."""
    programs = ("service_keeper", "fiat.serving")
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        for words in [" ".join(process.info["cmdline"] or [])]
        if str(stage.folder) in words and any(program in words for program in programs)
    ]


def served_commit(clients: Clients) -> str:
    with urllib.request.urlopen(f"{clients.url}/v2/models/leaves", timeout=10) as answer:
        return str(json.loads(answer.read())["parameters"]["commit"])


def served_graph(stage: RunnerStage) -> Path:
    """The file that the server has loaded."""
    served = json.loads((folder(stage) / "release.json").read_text())["versions"][0]["folder"]
    return folder(stage) / served / "model.onnx"


def test_a_push_serves_the_model(stage: RunnerStage, first: str, clients: Clients) -> None:
    stage.wait(lambda: len(clients.versions) > 50, "answers")
    assert clients.failures == []
    assert served_commit(clients) == first


def test_a_good_model_gets_all_traffic_after_its_hold_and_the_commit_hears_of_each_step(
    stage: RunnerStage, first: str, clients: Clients
) -> None:
    commit = stage.pushed({"spec.yaml": OTHER}, "more trees")
    stage.wait_state(commit, PUSH, "success")
    stage.wait_state(commit, CONTEXT, "success")
    assert "pending" in stage.forge.world.states(commit, CONTEXT)
    stage.wait(lambda: clients.versions[-1] == "2", "the new version")
    assert served_commit(clients) == commit
    assert clients.failures == []


def test_a_worse_model_goes_back_by_itself_and_its_commit_is_held(
    stage: RunnerStage, first: str, clients: Clients
) -> None:
    good = stage.run_git("rev-parse", "HEAD").strip()
    commit = stage.pushed({"spec.yaml": WORSE}, "a spoilt model")
    stage.wait_state(commit, PUSH, "success")
    stage.wait_state(commit, CONTEXT, "failure")
    said = stage.description(commit, CONTEXT)
    assert "went back" in said
    assert "disagree" in said.lower()
    assert clients.versions[-1] == "2"
    assert served_commit(clients) == good
    assert clients.failures == []
    with stage.opened_store() as store:
        assert [hold.commit for hold in store.deployments.holds()] == [commit]


def test_pages_and_api_tell_what_stands_there_what_went_back_and_who_holds_it(
    stage: RunnerStage, first: str, clients: Clients
) -> None:
    bad, good = (stage.run_git("rev-parse", name).strip() for name in ("HEAD", "HEAD~1"))
    # The target tells of its rollout that went back, and has the model before, as is wanted now.
    stage.wait(lambda: stage.get("/api/v1/places").body["items"][0]["seen"], "a look")
    (place,) = stage.get("/api/v1/places").body["items"]
    assert (place["target"], place["model"], place["seen"]["phase"]) == ("production", "leaves", "failed")
    assert (place["deployment"]["commit"], place["deployment"]["version"]) == (good, 2)
    assert place["deployment"]["state"] == "deployed"
    assert (place["seen"]["url"], place["seen"]["drift"]) == (clients.url, [])
    assert "version 3 was refused, version 2 has all traffic" in place["seen"]["sentence"]
    assert [(hold["who"], hold["commit"]) for hold in place["holds"]] == [("rollout", bad)]
    address = f"/places/production/leaves?repo={place['repo']}"
    whole = stage.get(f"/api/v1{address}").body
    told = [(one["commit"], one["state"]) for one in whole["history"]]
    assert told == [(bad, "refused"), (good, "deployed"), (first, "deployed")]
    assert place["url"] == f"{stage.url}{address}"
    assert f"{bad[:8]} is held by rollout" in stage.get("/places").body
    assert "went back" in stage.get(address).body


def test_a_revert_is_served_without_training(stage: RunnerStage, first: str, clients: Clients) -> None:
    stage.run_git("revert", "--no-edit", "HEAD")
    commit = stage.run_git("rev-parse", "HEAD").strip()
    stage.push("main")
    stage.wait_state(commit, PUSH, "success")
    assert stage.steps(commit)["train"] == "reused"
    assert clients.versions[-1] == "2"
    assert clients.failures == []


def test_a_server_that_dies_is_started_again_and_so_is_its_keeper(
    stage: RunnerStage, first: str, clients: Clients
) -> None:
    for process in services(stage):
        os.kill(process.pid, signal.SIGKILL)
    asked = len(clients.versions)
    stage.wait(lambda: len(clients.versions) > asked + 20, "answers after everything was killed", 60)
    assert "differs from git" in stage.log
    assert served_commit(clients)


def test_bytes_that_somebody_changes_are_put_right(stage: RunnerStage, first: str, clients: Clients) -> None:
    graph = served_graph(stage)
    before = graph.read_bytes()
    graph.chmod(0o644)
    graph.write_bytes(before[:-1])
    # What is whole is laid beside what was damaged, and served from there.
    stage.wait(lambda: served_graph(stage).read_bytes() == before, "the graph as it was", 60)
