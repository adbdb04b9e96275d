"""What a probe needs: a dataset, a graph, its evaluation and its package, made by the steps themselves; and bad servers."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper

from fiat.builtin.probe_server import Command, server_command
from fiat.builtin.step_evaluate import EvaluateStep
from fiat.builtin.step_package import PackageStep
from fiat.builtin.step_probe import ProbeStep
from fiat.model.signature import read_signature
from fiat.ports.step import StepContext, StepOutcome
from fiat.run.model import GateResult

N_ROWS = 300
CLASSES = ("bird", "cat", "dog")
FEATURES = ("x", "y", "z")
_BAD_SERVER = """
import http.server, sys, time
mode = {mode!r}
print("loading the model", file=sys.stderr, flush=True)
if mode == "dies":
    sys.exit("this model is cursed")
if mode == "never ready":
    time.sleep(60)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    asked = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        Handler.asked += 1
        if mode == "hangs":
            time.sleep(60)
        if mode == "dies when asked" and Handler.asked == 3:
            import os
            os.kill(os.getpid(), 9)
        body = b'{{"error": "out of order"}}' if mode == "refuses" else b'{{"outputs": []}}'
        self.send_response(500 if mode == "refuses" else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(f"ready: http://127.0.0.1:{{server.server_port}}", flush=True)
server.serve_forever()
"""


def bad_server(mode: str) -> Command:
    """A server that `dies`, is `never ready`, `hangs`, `dies when asked`, `refuses` or answers `nothing`."""

    def command(arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-c", _BAD_SERVER.format(mode=mode), *arguments]

    return command


class Stage:
    """One model on its way to the probe.

    Args:
        folder: empty.
        regression: predict a number, else one of three classes.
    """

    def __init__(self, folder: Path, *, regression: bool = False) -> None:
        self.folder = folder
        draw = np.random.default_rng(0)
        features = draw.normal(size=(N_ROWS, 3)).astype(np.float32)
        features[7, 1] = np.nan
        self.weights = draw.normal(size=(3, 1 if regression else 3)).astype(np.float32) * (
            1e4 if regression else 2
        )
        said = np.nan_to_num(features) @ self.weights
        labels: Any = (
            said[:, 0].astype(float) if regression else [CLASSES[code] for code in said.argmax(axis=1)]
        )
        columns = {name: features[:, index] for index, name in enumerate(FEATURES)} | {"label": labels}
        self.dataset = _write_dataset(folder / "data", pa.table(columns), None if regression else CLASSES)
        self.onnx = folder / "onnx"
        self.onnx.mkdir()
        self.write_graph(self.onnx / "model.onnx", self.weights)
        sample = {"features": features[:2]}
        signature = read_signature(
            self.onnx / "model.onnx",
            layout="matrix",
            features=FEATURES,
            labels=() if regression else CLASSES,
            sample=sample,
        )
        signature.write(self.onnx / "signature.json")
        self.evaluation = self._step(
            EvaluateStep(), "evaluation", {"onnx": self.onnx, "dataset": self.dataset}
        )
        self.package = self._step(
            PackageStep(),
            "package",
            {"onnx": self.onnx, "evaluation": self.evaluation, "dataset": self.dataset},
            name="tiny",
        )

    def write_graph(self, path: Path, weights: np.ndarray) -> None:
        """A linear model that takes a missing feature as 0."""
        nodes = [
            helper.make_node("IsNaN", ["features"], ["missing"]),
            helper.make_node("Where", ["missing", "zero", "features"], ["known"]),
            helper.make_node("MatMul", ["known", "weights"], ["scores"]),
        ]
        constants = [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.zeros(1, np.float32), "zero"),
        ]
        sides = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])]
            for name, width in (("features", 3), ("scores", weights.shape[1]))
        ]
        graph = helper.make_graph(nodes, "g", *sides, constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        path.unlink(missing_ok=True)
        onnx.save(model, str(path))

    def probe(
        self,
        limits: dict[str, Any],
        command: Command = server_command,
        *,
        severity: str = "error",
        **timeouts: float,
    ) -> tuple[GateResult, StepOutcome]:
        """What the gate says."""
        work = self.folder / f"work{len(list(self.folder.iterdir()))}"
        work.mkdir()
        inputs = {"package": self.package, "evaluation": self.evaluation, "dataset": self.dataset}
        params = {"probe": limits, "severity": severity, "key": "gates[2]"}
        context = StepContext("probe", params, inputs, {"probe": work / "probe"}, self.folder, work)
        outcome = ProbeStep(command, **timeouts).run(context)
        said: Any = outcome.facts["gate"]
        assert json.loads((work / "probe").read_text())["gate"] == said
        return GateResult(**said), outcome

    def _step(self, step: Any, output: str, inputs: dict[str, Path], **params: object) -> Path:
        work = self.folder / f"work-{output}"
        work.mkdir()
        target = self.folder / output
        step.run(StepContext(step.name, params, inputs, {output: target}, self.folder, work))
        return target


def _write_dataset(folder: Path, table: pa.Table, classes: Sequence[str] | None) -> Path:
    """All rows are in train and in test."""
    folder.mkdir()
    for name, part in {"train": table, "eval": table.slice(0, 0), "test": table}.items():
        with (
            pa.OSFile(str(folder / f"{name}.arrow"), "wb") as sink,
            pa.ipc.new_file(sink, table.schema) as writer,
        ):
            writer.write_table(part)
    about = {"label": "label", "classes": classes, "features": FEATURES, "source_digest": "ab"}
    (folder / "dataset.json").write_text(json.dumps(about))
    return folder
