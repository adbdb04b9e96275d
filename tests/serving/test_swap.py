"""A server that follows a manifest: new versions beside the old ones, and what happens when they are no good."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).parent))
from server_stage import RunningServer, Service, make_graph_package, started, wait_for

from fiat.serving.counts import read_workers, total
from fiat.testing.sample_packages import SamplePackage, make_package


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "service")


def factor(server: RunningServer, version: str = "", **more: object) -> float:
    """What the model multiplies by: packages differ in it alone."""
    found = server.infer([[1, 0, 0]], version=version, **more)
    assert found.status == 200, found.body
    return float(found.json()["outputs"][0]["data"][0])


def test_a_new_version_answers_as_soon_as_it_is_loaded(service: Service, tmp_path: Path) -> None:
    two, three = (service.add(make_package(tmp_path, number)) for number in (2, 3))
    service.write(("1", two, 100))
    with started("--release", str(service.manifest)) as server:
        assert factor(server) == 2
        counts = service.wait(service.write(("2", three, 100)))
        assert factor(server) == 3
        assert server.ask("GET", "/v2/models/tiny").json()["versions"] == ["2"]
        assert {item.name: item.state for item in counts.versions["tiny"]} == {"2": "ready", "1": "draining"}
        assert server.infer([[1, 0, 0]], version="1").status == 404


def test_a_version_can_be_kept_warm_and_asked_by_its_name(service: Service, tmp_path: Path) -> None:
    two, three = (service.add(make_package(tmp_path, number)) for number in (2, 3))
    service.write(("1", two, 100), ("2", three, 0))
    with started("--release", str(service.manifest)) as server:
        assert {factor(server) for _ in range(20)} == {2.0}
        assert (factor(server, "1"), factor(server, "2")) == (2, 3)


def test_requests_are_split_and_the_same_key_stays_where_it_is(service: Service, tmp_path: Path) -> None:
    two, three = (service.add(make_package(tmp_path, number)) for number in (2, 3))
    service.write(("1", two, 70), ("2", three, 30))
    with started("--release", str(service.manifest)) as server:
        first = {f"user-{place}": factor(server, id=f"user-{place}") for place in range(200)}
        assert 30 <= sum(value == 3 for value in first.values()) <= 90
        by_header = {
            key: server.infer([[1, 0, 0]], headers={"fiat-sticky": key}).json()["model_version"]
            for key in first
        }
        assert by_header == {key: {2.0: "1", 3.0: "2"}[value] for key, value in first.items()}
        service.wait(service.write(("1", two, 40), ("2", three, 60)))
        second = {key: factor(server, id=key) for key in first}
        assert all(second[key] == 3 for key, value in first.items() if value == 3)
        counts = wait_for(lambda: _rows(service, three) >= sum(value == 3 for value in second.values()))
        assert counts


def _rows(service: Service, digest: str) -> int:
    worker = service.worker()
    return total([worker], "tiny", digest).rows if worker else 0


def test_a_new_version_that_takes_other_inputs_fails_no_client_and_counts_as_failing(
    service: Service, tmp_path: Path
) -> None:
    two = service.add(make_package(tmp_path, 2))
    other = make_graph_package(
        tmp_path,
        "other",
        [helper.make_node("Identity", ["words"], ["y"])],
        inputs=[("words", TensorProto.STRING, ["n", 1])],
        outputs=[("y", TensorProto.STRING, ["n", 1])],
    )
    service.add(other)
    service.write(("1", two, 50), ("2", other.digest, 50))
    with started("--release", str(service.manifest)) as server:
        service.wait(1)
        assert {factor(server) for _ in range(40)} == {2.0}
        assert server.infer([[1, 0, 0]], version="2").status == 400
        assert server.infer([[1, 0]]).status == 400

        def counted() -> bool:
            workers = read_workers(service.folder / "counts")
            theirs, ours = (total(workers, "tiny", digest) for digest in (other.digest, two))
            return theirs.failed == theirs.requests > 0 and (ours.requests, ours.failed) == (40, 0)

        wait_for(counted)


def test_a_package_whose_bytes_were_changed_is_refused_and_the_old_one_serves(
    service: Service, tmp_path: Path
) -> None:
    two, three, other = (service.add(make_package(tmp_path, number)) for number in (2, 3, 4))
    service.write(("1", two, 100))
    with started("--release", str(service.manifest)) as server:
        graph = service.folder / "releases" / three / "model.onnx"
        right = graph.read_bytes()
        graph.write_bytes((service.folder / "releases" / other / "model.onnx").read_bytes())
        counts = service.wait(service.write(("2", three, 100)), state="failed")
        (failed,) = (item for item in counts.versions["tiny"] if item.state == "failed")
        assert "its files were changed" in failed.reason
        assert factor(server) == 2
        entries = server.ask("POST", "/v2/repository/index").json()
        assert [(item["version"], item["state"]) for item in entries] == [
            ("1", "READY"),
            ("2", "UNAVAILABLE"),
        ]
        assert "its files were changed" in entries[1]["reason"]
        graph.write_bytes(right)
        wait_for(lambda: factor(server) == 3)


def broken_package(folder: Path) -> SamplePackage:
    """Loads, but can't answer: three numbers don't make rows of seven."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    return make_graph_package(
        folder,
        "broken",
        nodes,
        inputs=[("x", TensorProto.FLOAT, ["n", 3])],
        outputs=[("y", TensorProto.FLOAT, ["n", 7])],
        constants={"shape": np.array([-1, 7], np.int64)},
    )


def test_a_version_that_does_not_answer_its_warm_up_is_refused(service: Service, tmp_path: Path) -> None:
    two, broken = service.add(make_package(tmp_path, 2)), service.add(broken_package(tmp_path))
    service.write(("1", two, 100))
    with started("--release", str(service.manifest)) as server:
        counts = service.wait(service.write(("1", two, 95), ("2", broken, 5)), state="failed")
        (failed,) = (item for item in counts.versions["tiny"] if item.state == "failed")
        assert "does not answer its warm-up" in failed.reason
        assert {factor(server) for _ in range(30)} == {2.0}


def test_a_manifest_that_is_none_changes_nothing(service: Service, tmp_path: Path) -> None:
    two, three = (service.add(make_package(tmp_path, number)) for number in (2, 3))
    service.write(("1", two, 100))
    with started("--release", str(service.manifest)) as server:
        service.manifest.write_text('{"format": 1, "model"')
        time.sleep(0.5)
        assert factor(server) == 2
        service.wait(service.write(("2", three, 100)))
        assert factor(server) == 3


def test_a_server_whose_only_version_is_gone_says_why_and_mends_itself(
    service: Service, tmp_path: Path
) -> None:
    package = make_package(tmp_path, 2)
    service.write(("1", package.digest, 100))
    with started("--release", str(service.manifest), "--port", str(_free_port()), ready=False) as server:
        server.url = f"http://127.0.0.1:{server.process.args[-1]}"  # type: ignore[index]
        wait_for(lambda: _status(server, "/v2/health/live") == 200)
        service.wait(1, state="failed")
        assert _status(server, "/v2/health/ready") == 503
        found = server.infer([[1, 0, 0]])
        assert found.status == 503
        assert "can't be read" in found.json()["error"]
        service.add(package)
        wait_for(lambda: _status(server, "/v2/health/ready") == 200)
        assert factor(server) == 2


def _status(server: RunningServer, path: str) -> int:
    try:
        return server.ask("GET", path).status
    except OSError:
        return 0


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Load:
    """Clients that ask all the time."""

    def __init__(self, server: RunningServer, clients: int = 4) -> None:
        self.server, self.failed, self.answered = server, [], 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        body = json.dumps({"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 0, 0]}]})
        connection = self.server.connect()
        while not self._stop.is_set():
            try:
                connection.request("POST", "/v2/models/tiny/infer", body)
                found = connection.getresponse()
                content = found.read()
            except OSError as error:
                self.failed.append(error)
                return
            if found.status != 200:
                self.failed.append(content)
            self.answered += 1
        connection.close()


def test_no_request_fails_while_versions_are_swapped(service: Service, tmp_path: Path) -> None:
    digests = [service.add(make_package(tmp_path, number)) for number in (2, 3)]
    service.write(("1", digests[0], 100))
    with started("--release", str(service.manifest)) as server, Load(server) as load:
        for number in range(2, 10):
            service.wait(service.write((str(number), digests[number % 2], 100)))
        assert load.answered > 100
    assert load.failed == []


@pytest.mark.slow
def test_memory_is_back_after_a_hundred_swaps(tmp_path: Path) -> None:
    def large(name: str, seed: int) -> SamplePackage:
        weight = np.random.default_rng(seed).normal(size=(3, 200_000)).astype(np.float32)
        nodes = [
            helper.make_node("MatMul", ["x", "w"], ["wide"]),
            helper.make_node("ReduceMean", ["wide"], ["y"], axes=[1]),
        ]
        return make_graph_package(
            tmp_path,
            name,
            nodes,
            inputs=[("x", TensorProto.FLOAT, ["n", 3])],
            outputs=[("y", TensorProto.FLOAT, ["n", 1])],
            constants={"w": weight},
        )

    folders = [str(large(name, seed).folder) for seed, name in enumerate("ab")]
    done = subprocess.run(
        [sys.executable, "-c", _SWAPS, *folders], capture_output=True, text=True, check=True, timeout=120
    )
    before, after = map(int, done.stdout.split())
    assert after - before < 12 << 20, f"{before >> 20} MiB became {after >> 20} MiB"


_SWAPS = """
import asyncio, sys
from pathlib import Path
from fiat.serving.fleet import Fleet
from fiat.serving.release import Placed, ReleaseManifest, ServerLimits, Version
import numpy as np

def memory_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))

async def swap(fleet, first, last):
    for number in range(first, last):
        version = Version(str(number), "", sys.argv[1 + number % 2], 100.0)
        assert await fleet.bring(Placed(ReleaseManifest("tiny", number, (version,))))
        running = fleet.models["tiny"].served.stable
        deadline = asyncio.get_running_loop().time() + 60
        await running.batcher.run({"x": np.ones((1, 3), np.float32)}, 1, deadline)

async def main():
    fleet = Fleet(ServerLimits(), threads=1, check=lambda *_: None)
    await swap(fleet, 0, 10)
    before = memory_bytes()
    await swap(fleet, 10, 110)
    print(before, memory_bytes())

asyncio.run(main())
"""


@pytest.fixture
def shadowed(service: Service, tmp_path: Path) -> Iterator[tuple[RunningServer, str]]:
    two, three = (service.add(make_package(tmp_path, number)) for number in (2, -3))
    service.write(("1", two, 100), ("2", three, 0, 100))
    with started("--release", str(service.manifest)) as server:
        yield server, three


def test_a_shadow_is_compared_and_never_answers(
    service: Service, shadowed: tuple[RunningServer, str]
) -> None:
    server, digest = shadowed
    for place in range(20):
        assert factor(server, id=f"{place}") == 2

    def compared() -> bool:
        worker = service.worker()
        return worker is not None and total([worker], "tiny", digest).shadowed == 20

    wait_for(compared)
    worker = service.worker()
    assert worker is not None
    counts = total([worker], "tiny", digest)
    assert (counts.requests, counts.disagreed, counts.shadow_failed) == (0, 20, 0)
    assert counts.distance > 0
