"""A place where services come and go in tests: packages, deploys, requests, and an end without anything left."""

import http.client
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fiat.builtin.deploy_service import ServiceTarget
from fiat.builtin.service_ledger import Ledger, read_ledger
from fiat.builtin.service_process import keeper_of, kill_group, lock_holders, read_record
from fiat.builtin.service_stop import stop
from fiat.ports.deploy import DeployRequest, TargetState
from fiat.serving.place import Place
from fiat.testing.sample_packages import SamplePackage, make_package

STANDIN = str(Path(__file__).parent / "service_standin.py")
PATIENCE = {"first_wait_s": 0.05, "longest_wait_s": 1.0, "hung_s": 3.0, "load_s": 20.0, "drain_s": 3.0}
KEEPER = ("--patience", json.dumps(PATIENCE))
STANDIN_KEEPER = (*KEEPER, "--server", STANDIN)


def standin_target(lock_wait_s: float = 60.0, taken_s: float = 20.0) -> ServiceTarget:
    """The target, with a server that behaves as a file says."""
    return ServiceTarget(lock_wait_s, STANDIN_KEEPER, taken_s)


class Service:
    """One service and what is deployed to it."""

    def __init__(self, folder: Path, target: ServiceTarget, **settings: object) -> None:
        self.folder, self.target, self.settings = folder, target, settings
        self.place = Place(folder / "root" / "services" / "tiny")
        self.generation = 0
        self._packages: dict[int, SamplePackage] = {}

    def package(self, number: int) -> SamplePackage:
        if number not in self._packages:
            self._packages[number] = make_package(self.folder / "packages", number)
        return self._packages[number]

    def digest(self, number: int) -> str:
        return self.package(number).digest

    def ask(self, number: int, generation: int | None = None, **settings: object) -> DeployRequest:
        if generation is None:
            self.generation += 1
            generation = self.generation
        given = {"to": "service", "path": "services", "model": "tiny", **self.settings, **settings}
        package = self.package(number)
        return DeployRequest("api", given, package.folder, package.digest, self.folder / "root", generation)

    def deploy(self, number: int, **settings: object) -> DeployRequest:
        request = self.ask(number, **settings)
        self.target.apply(request)
        return request

    def behave(self, **how: Mapping[str, object]) -> None:
        """Say how versions behave: `v2={"errors": 1}`."""
        self.place.folder.mkdir(parents=True, exist_ok=True)
        document = {self.digest(int(name[1:])): item for name, item in how.items()}
        (self.place.folder / "standin.json").write_text(json.dumps(document))

    @property
    def state(self) -> TargetState:
        return self.target.state(self.ask(1, 0))

    @property
    def ledger(self) -> Ledger:
        found = read_ledger(self.place.rollout)
        assert found is not None
        return found

    @property
    def port(self) -> int:
        record = read_record(self.place.server)
        assert record is not None
        return record.port

    def wait(self, true: Callable[[TargetState], bool], patience_s: float = 20.0) -> TargetState:
        deadline = time.monotonic() + patience_s
        while not true(state := self.state):
            assert time.monotonic() < deadline, f"still {state}"
            time.sleep(0.05)
        return state

    def kill_keeper(self) -> None:
        keeper = keeper_of(self.place)
        if keeper is not None:
            kill_group(keeper)

    def kill_server(self, number: int = signal.SIGKILL) -> None:
        record = read_record(self.place.server)
        if record is not None and record.process.alive:
            os.kill(record.process.pid, number)

    def end(self) -> None:
        end_service(self.place)


def end_service(place: Place) -> None:
    """End a service, and see that nothing is left of it."""
    stop(place.folder)
    deadline = time.monotonic() + 10
    while left := [*lock_holders(place.folder / "server.lock"), *lock_holders(place.folder / "keeper.lock")]:
        assert time.monotonic() < deadline, f"processes {left} are left"
        time.sleep(0.02)


class Load:
    """Clients that ask all the time; what they are told is counted."""

    def __init__(self, port: int, n_clients: int = 2, pause_s: float = 0.002) -> None:
        self.port, self.pause_s = port, pause_s
        self.statuses: Counter[int] = Counter()
        self.versions: Counter[str] = Counter()
        self.names: list[str] = []
        self.faults: list[tuple[float, str]] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(n_clients)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def send_labels(self, labels: Sequence[str]) -> None:
        """Say what would have been right for the rows of every request until now."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        given = [
            {"id": name, "row": row, "label": label}
            for name in self.names[:1000]
            for row, label in enumerate(labels)
        ]
        link.request("POST", "/fiat/labels", json.dumps({"labels": given}))
        assert link.getresponse().status == 200
        link.close()

    def _ask(self, client: int) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        values = [[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]]
        body = json.dumps({"inputs": [{"name": "x", "shape": [2, 3], "datatype": "FP32", "data": values}]})
        n = 0
        while not self._ended.is_set():
            n += 1
            try:
                headers = {"x-request-id": f"{client}-{n}"}
                link.request("POST", "/v2/models/tiny/infer", body, headers)
                answer = link.getresponse()
                told = json.loads(answer.read())
                self.statuses[answer.status] += 1
                self.versions[str(told.get("model_version"))] += 1
                self.names.append(headers["x-request-id"])
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.faults.append((time.monotonic(), repr(error)))
                link.close()
                time.sleep(0.05)
            time.sleep(self.pause_s)
        link.close()
