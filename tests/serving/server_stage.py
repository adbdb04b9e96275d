"""A server as a process of its own, and what tests ask it."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fiat.model.package import Origin, Parts, write_package
from fiat.model.signature import read_signature
from fiat.serving.counts import WorkerCounts, read_workers
from fiat.serving.release import LogPlan, ReleaseManifest, Version, write_manifest
from fiat.testing.sample_packages import SamplePackage, digest_of

WAIT_S = 20.0


@dataclass
class Answer:
    """Of a server."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class RunningServer:
    """A server that answers."""

    process: subprocess.Popen[str]
    url: str
    lines: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def connect(self, timeout: float = WAIT_S) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=timeout)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            found = connection.getresponse()
            return Answer(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        finally:
            connection.close()

    def infer(
        self,
        rows: Any,
        model: str = "tiny",
        version: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Answer:
        place = f"/v2/models/{model}" + (f"/versions/{version}" if version else "")
        return self.ask("POST", f"{place}/infer", json.dumps({**request_of(rows), **more}), headers)


def request_of(rows: Any, name: str = "x") -> dict[str, Any]:
    array = np.asarray(rows, np.float32)
    item = {"name": name, "shape": list(array.shape), "datatype": "FP32", "data": array.ravel().tolist()}
    return {"inputs": [item]}


@contextmanager
def started(*arguments: str, ready: bool = True) -> Iterator[RunningServer]:
    """A server with these arguments on a free port; it is ended afterwards."""
    command = [sys.executable, "-m", "fiat.serving.main", "--port", "0", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    try:
        url = _url(process) if ready else ""
        yield RunningServer(process, url)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _url(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.startswith("ready: "):
        process.kill()
        raise AssertionError(f"the server did not start: {line}{process.communicate()[1]}")
    return line.split()[1]


class Service:
    """The folder of a service whose manifest tests write."""

    def __init__(self, folder: Path, model: str = "tiny") -> None:
        self.folder, self.model, self.serial = folder, model, 0
        (folder / "releases").mkdir(parents=True)

    @property
    def manifest(self) -> Path:
        return self.folder / "release.json"

    def add(self, package: SamplePackage) -> str:
        """Copy a package where the service's versions are; its digest."""
        target = self.folder / "releases" / package.digest
        if not target.exists():
            shutil.copytree(package.folder, target)
        return package.digest

    def write(
        self,
        *shares: tuple[str, str, float] | tuple[str, str, float, float],
        log: LogPlan | None = None,
        key: str = "",
    ) -> int:
        """Write a manifest of (name, digest, percent, shadow percent); its serial."""
        self.serial += 1
        versions = tuple(
            Version(share[0], share[1], f"releases/{share[1]}", share[2], share[3] if len(share) > 3 else 0.0)
            for share in shares
        )
        write_manifest(self.manifest, ReleaseManifest(self.model, self.serial, versions, log, key))
        return self.serial

    def worker(self, number: int = 0) -> WorkerCounts | None:
        return next((item for item in read_workers(self.folder / "counts") if item.worker == number), None)

    def wait(self, serial: int, *, state: str = "") -> WorkerCounts:
        """Wait until the worker follows a manifest (and a version is in a state)."""

        def there() -> WorkerCounts | None:
            found = self.worker()
            if found is None or found.serial < serial:
                return None
            states = {item.state for item in found.versions.get(self.model, ())}
            return found if not state or state in states else None

        return wait_for(there)


def wait_for(look: Callable[[], Any], timeout_s: float = WAIT_S) -> Any:
    """What a look finds, once it finds something."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come")


def make_graph_package(
    folder: Path,
    name: str,
    nodes: list[Any],
    *,
    inputs: list[tuple[str, int, list[Any]]],
    outputs: list[tuple[str, int, list[Any]]],
    constants: Mapping[str, np.ndarray] | None = None,
    labels: tuple[object, ...] = (),
) -> SamplePackage:
    """A package of any graph.

    Args:
        folder: gets folders for its parts.
        name: another one gives another package.
        nodes: of the graph.
        inputs: name, ONNX type, shape.
        outputs: the same.
        constants: initializers.
        labels: of the classes.
    """
    onnx, evaluation = folder / name / "onnx", folder / name / "evaluation"
    onnx.mkdir(parents=True)
    evaluation.mkdir()
    stored = [numpy_helper.from_array(array, key) for key, array in (constants or {}).items()]
    sides = [[helper.make_tensor_value_info(*item) for item in side] for side in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", sides[0], sides[1], initializer=stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (onnx / "model.onnx").write_bytes(model.SerializeToString())
    kinds = {TensorProto.FLOAT: np.float32, TensorProto.INT64: np.int64, TensorProto.STRING: object}
    sample = {
        item[0]: np.zeros([2 if isinstance(size, str) else size for size in item[2]], kinds[item[1]])
        for item in inputs
    }
    for array in sample.values():
        if array.dtype == object:
            array[...] = ""
    signature = read_signature(
        onnx / "model.onnx", layout="tensor", features=tuple(sample), labels=labels, sample=sample
    )
    signature.write(onnx / "signature.json")
    (evaluation / "metrics.json").write_text("[]")
    about = {"task": "regression", "split": "test", "n_rows": 2, "parity": None}
    (evaluation / "evaluation.json").write_text(json.dumps(about))
    target = folder / f"package-{name}"
    write_package(target, Parts(onnx, evaluation, None, None, ("onnxruntime==1.20.0",)), Origin(name))
    return SamplePackage(target, digest_of(target))
