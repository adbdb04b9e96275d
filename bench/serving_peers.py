"""Peers that serve the same graph: MLServer and `mlflow models serve`, each in an environment of its own."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from serving_load import Request, free_port, running
from serving_models import Perceptron, json_body, mlflow_body

_HERE = Path(__file__).parents[1] / ".venv" / "peers"
_FOLDER = Path(os.environ.get("FIAT_BENCH_PEERS") or _HERE)
"""A folder of environments that are made at their first use, and kept."""
_PACKAGES = {
    "mlserver": ("mlserver==1.7.1", "onnxruntime", "numpy<3"),
    "mlflow": ("mlflow==3.17.2", "onnxruntime", "numpy<3", "onnx"),
}
_RUNTIME = """
import onnxruntime as ort
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse


class OnnxModel(MLModel):
    async def load(self):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(self.settings.parameters.uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload):
        given = payload.inputs[0]
        array = NumpyCodec.decode_input(given)
        names = [item.name for item in self.session.get_outputs()]
        found = self.session.run(names, {given.name: array})
        outputs = [NumpyCodec.encode_output(name, item) for name, item in zip(names, found)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
"""
_PYFUNC = """
import sys
import mlflow.pyfunc
import onnxruntime as ort


class OnnxModel(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = ort.InferenceSession(context.artifacts["graph"], options, providers=["CPUExecutionProvider"])

    def predict(self, context, model_input, params=None):
        import numpy as np
        return self.session.run(None, {"features": np.asarray(model_input, np.float32)})[0]


mlflow.pyfunc.save_model(sys.argv[2], python_model=OnnxModel(), artifacts={"graph": sys.argv[1]},
                         pip_requirements=["onnxruntime"])
"""


@dataclass(frozen=True)
class Peer:
    """A peer that runs.

    Attributes:
        port: where.
        request: one row in its own form.
    """

    port: int
    request: Request


def environment(name: str) -> Path | str:
    """The Python of a peer's environment, made at its first use; or why there is none."""
    python = _FOLDER / f"bench-{name}" / "bin" / "python"
    made = python.parents[1] / "made"
    if made.exists():
        return python
    print(f"making an environment for {name} in {python.parents[1]} ...", flush=True)
    try:
        subprocess.run(
            [sys.executable, "-m", "venv", str(python.parents[1])], check=True, capture_output=True
        )
        install = [str(python), "-m", "pip", "install", "-q", *_PACKAGES[name]]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"no environment for {name}: {error}"
    if done.returncode:
        return f"{name} can't be installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}"
    made.write_text("")
    return python


@contextmanager
def mlserver(python: Path, folder: Path, model: Perceptron) -> Iterator[Peer]:
    """MLServer with one process, as its own benchmark runs it."""
    folder.mkdir()
    (folder / "onnx_runtime.py").write_text(textwrap.dedent(_RUNTIME))
    port = free_port()
    settings = {"http_port": port, "grpc_port": free_port(), "parallel_workers": 0, "host": "127.0.0.1"}
    settings |= {"metrics_endpoint": None, "debug": False}
    (folder / "settings.json").write_text(json.dumps(settings))
    about = {"name": "m", "implementation": "onnx_runtime.OnnxModel", "parameters": {"uri": str(model.graph)}}
    (folder / "model-settings.json").write_text(json.dumps(about))
    env = {"PYTHONPATH": str(folder), "PATH": f"{python.parent}:{os.environ['PATH']}"}
    headers = {"Content-Type": "application/json"}
    with running([str(python.parent / "mlserver"), "start", "."], port, env=env, cwd=folder):
        yield Peer(port, Request("/v2/models/m/infer", json_body(model.n_inputs), headers))


@contextmanager
def mlflow(python: Path, folder: Path, model: Perceptron) -> Iterator[Peer]:
    """`mlflow models serve` with one worker."""
    folder.mkdir()
    (folder / "save.py").write_text(textwrap.dedent(_PYFUNC))
    saved = folder / "model"
    subprocess.run(
        [str(python), "save.py", str(model.graph), str(saved)], cwd=folder, check=True, capture_output=True
    )
    port = free_port()
    command = [str(python), "-m", "mlflow", "models", "serve", "-m", str(saved), "-p", str(port)]
    command += ["-h", "127.0.0.1", "--env-manager", "local", "-w", "1"]
    env = {"PATH": f"{python.parent}:{os.environ['PATH']}", "MLFLOW_DISABLE_ENV_CREATION": "true"}
    headers = {"Content-Type": "application/json"}
    with running(command, port, env=env, cwd=folder):
        yield Peer(port, Request("/invocations", mlflow_body(model.n_inputs), headers))
