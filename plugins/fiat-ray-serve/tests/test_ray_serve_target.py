import hashlib
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from fiat.builtin import ray_up
from fiat.builtin.deploy_service_place import service_place
from fiat.builtin.ray_state import HostInfo
from fiat.errors import EnvironmentFault, SpecError, Stalled
from fiat.model.warmup import warmup_text
from fiat.ports.deploy import DeployRequest
from fiat.testing.sample_columns import AGES, make_column_package
from fiat.testing.sample_packages import SamplePackage, digest_of
from fiat_ray_serve.target import RayServeTarget
from fiat_ray_serve.task import find_cluster, run_control

Ask = Callable[..., DeployRequest]
BAD = -1


def infer(url: str, age: float) -> tuple[int, dict[str, object]]:
    """Ask the model below a URL."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        return infer_over(connection, parts.path, age)
    finally:
        connection.close()


def infer_over(
    connection: http.client.HTTPConnection, path: str, age: float
) -> tuple[int, dict[str, object]]:
    inputs = [
        {"name": "age", "datatype": "FP64", "shape": [1, 1], "data": [age]},
        {"name": "city", "datatype": "BYTES", "shape": [1, 1], "data": ["Bonn"]},
    ]
    connection.request("POST", f"{path}/v2/models/guests/infer", json.dumps({"inputs": inputs}))
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def label_of(answer: dict[str, object]) -> object:
    outputs = {item["name"]: item["data"] for item in answer["outputs"]}  # type: ignore[attr-defined]  # JSON
    return outputs["label"][0]


def with_a_row_that_fails(package: SamplePackage) -> SamplePackage:
    """The package with a row to be tried with that its model can't answer."""
    path, manifest = package.folder / "warmup.json", package.folder / "manifest.json"
    path.write_text(warmup_text({"age": np.array([[AGES + 1.0]]), "city": np.array([["Ulm"]], object)}))
    content = path.read_bytes()
    about = json.loads(manifest.read_bytes())
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    about["files"]["warmup.json"] = facts
    manifest.write_text(json.dumps(about))
    return SamplePackage(package.folder, digest_of(package.folder))


def url_of(ask: Ask) -> str:
    """Where the service answers, as it is written down."""
    found = json.loads((service_place(ask(30)).folder / "serve.json").read_bytes())
    return str(found["url"])


class Load:
    """Threads that ask all the time."""

    def __init__(self, url: str, n_threads: int) -> None:
        self.parts, self.failures, self.answers = urlsplit(url), [], []  # type: ignore[var-annotated]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(n_threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(str(self.parts.hostname), self.parts.port, timeout=20)
        while not self._stop.is_set():
            started = time.perf_counter()
            try:
                status, answer = infer_over(connection, self.parts.path, 35)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                continue
            if status == 200:
                self.answers.append((label_of(answer), time.perf_counter() - started))
            else:
                self.failures.append(f"{status} {answer}")
            time.sleep(0.005)
        connection.close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, HostInfo]]:
    """A Ray that stays, as `fiat up` starts it: its state folder, and what is known of it."""
    state_dir = tmp_path_factory.mktemp("up")
    info = ray_up.up(state_dir, cpus=4, gpus=0)
    yield state_dir, info
    ray_up.down(state_dir)


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Makes requests for one service: a limit of the sample model, or BAD for one that fails its warm-up."""
    folder = tmp_path_factory.mktemp("serve")
    packages = {limit: make_column_package(folder / "packages", limit) for limit in (30, 40)}
    packages[BAD] = with_a_row_that_fails(make_column_package(folder / "packages", 20))

    def make(limit: int, generation: int = 0, **settings: object) -> DeployRequest:
        given = {"model": "guests", "replicas": {"min": 2, "max": 2}, "cpus": 0.5, **settings}
        package = packages[limit]
        state = folder / "state"
        return DeployRequest("live", given, package.folder, package.digest, folder, generation, state=state)

    return make


@pytest.fixture(scope="module")
def target(cluster: tuple[Path, HostInfo]) -> RayServeTarget:
    return RayServeTarget({**os.environ, "FIAT_STORE": str(cluster[0])})


@pytest.mark.slow
def test_versions_are_swapped_under_load_without_a_failed_request(target: RayServeTarget, ask: Ask) -> None:
    assert target.observe(ask(30)) is None
    assert target.state(ask(30)).phase == "absent"
    target.apply(ask(30, 1))
    state = target.state(ask(30))
    assert (state.phase, state.digest, state.sentence) == (
        "serving",
        ask(30).digest,
        "2 replicas of Ray Serve answer",
    )
    assert label_of(infer(state.url, 35)[1]) == "yes"
    with Load(state.url, 4) as load:
        for generation, limit in enumerate((40, 30, 40), start=2):
            target.apply(ask(limit, generation))
            assert target.observe(ask(limit)) == ask(limit).digest
            # From here on no replica answers by the old one.
            assert {label_of(infer(state.url, 35)[1]) for _ in range(10)} == {"no" if limit == 40 else "yes"}
    assert load.failures == []
    assert {label for label, _ in load.answers} == {"yes", "no"}
    assert len(load.answers) > 100


@pytest.mark.slow
def test_a_model_that_fails_its_warm_up_is_refused_and_the_old_one_serves_on(
    target: RayServeTarget, ask: Ask
) -> None:
    target.apply(ask(40, 5))
    url = url_of(ask)
    with Load(url, 2) as load, pytest.raises(SpecError, match="does not answer its warm-up"):
        target.apply(ask(BAD, 6))
    assert load.failures == []
    assert {label for label, _ in load.answers} <= {"no"}
    assert target.observe(ask(40)) == ask(40).digest
    assert label_of(infer(url, 35)[1]) == "no"
    with pytest.raises(Stalled):
        target.apply(ask(30, 5))
    target.apply(ask(30, 7))
    assert label_of(infer(url, 35)[1]) == "yes"


@pytest.mark.slow
def test_ray_serve_listens_on_loopback_only(
    target: RayServeTarget, ask: Ask, cluster: tuple[Path, HostInfo]
) -> None:
    target.apply(ask(30, 8))
    keeper = psutil.Process(cluster[1].keeper_pid)
    listening = [
        connection.laddr.ip
        for process in keeper.children(recursive=True)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 3
    assert set(listening) <= {"127.0.0.1", "::ffff:127.0.0.1"}


@pytest.mark.slow
def test_an_application_that_is_gone_is_missed_and_mended(
    target: RayServeTarget, ask: Ask, cluster: tuple[Path, HostInfo], tmp_path: Path
) -> None:
    target.apply(ask(30, 9))
    env = {**os.environ, "FIAT_STORE": str(cluster[0])}
    task = target._task(ask(30), service_place(ask(30)), "remove")
    run_control(task, find_cluster(env, cluster[0]), tmp_path / "log")
    assert target.observe(ask(30)) is None
    assert target.state(ask(30)).phase == "broken"
    one = ask(30, 10, replicas={"min": 1, "max": 2})
    target.apply(one)
    assert target.observe(one) == one.digest
    assert label_of(infer(url_of(ask), 35)[1]) == "yes"


@pytest.mark.slow
def test_replicas_that_fit_on_no_node_are_told(target: RayServeTarget, ask: Ask) -> None:
    with pytest.raises(EnvironmentFault, match="no node of Ray has 99 cores"):
        target.apply(ask(30, 11, cpus=99))


def test_without_a_ray_the_next_step_is_told_and_nothing_is_served(ask: Ask, tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    target = RayServeTarget({**env, "FIAT_STORE": str(tmp_path / "none")})
    request = replace(ask(30), state=tmp_path / "state")
    with pytest.raises(EnvironmentFault, match="no Ray to serve on") as caught:
        target.apply(request)
    assert "fiat up" in caught.value.hint
    assert target.observe(request) is None
    assert target.state(request).phase == "absent"


@pytest.mark.slow
def test_a_ray_that_does_not_answer_is_told_by_its_address(ask: Ask, tmp_path: Path) -> None:
    target = RayServeTarget({**os.environ, "RAY_ADDRESS": "127.0.0.1:9"})
    with pytest.raises(EnvironmentFault, match=r"Ray at 127.0.0.1:9 can't be reached"):
        target.apply(replace(ask(30), state=tmp_path / "state"))
