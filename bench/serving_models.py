"""Perceptrons as packages, and the requests that they are asked."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from fiat.model.package import Origin, Parts, write_package
from fiat.model.signature import read_signature


@dataclass(frozen=True)
class Perceptron:
    """A packaged perceptron.

    Attributes:
        package: its folder.
        n_inputs: floats of a row.
    """

    package: Path
    n_inputs: int

    @property
    def graph(self) -> Path:
        """The ONNX file."""
        return self.package / "model.onnx"


def make_perceptron(
    folder: Path, sizes: tuple[int, int, int], *, seed: int = 0, labelled: bool = False
) -> Perceptron:
    """A perceptron with one hidden layer, packaged as `fiat run` does it.

    Args:
        folder: gets folders for its parts.
        sizes: floats of a row, hidden units, outputs.
        seed: another one gives other weights.
        labelled: the outputs are scores of classes: the server answers labels and probabilities beside them.
    """
    n_inputs, hidden, classes = sizes
    random = np.random.default_rng(seed)
    stored = [
        numpy_helper.from_array(random.normal(0, 0.1, shape).astype(np.float32), name)
        for name, shape in (
            ("w1", (n_inputs, hidden)),
            ("b1", (hidden,)),
            ("w2", (hidden, classes)),
            ("b2", (classes,)),
        )
    ]
    nodes = [
        helper.make_node("Gemm", ["features", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["scores"]),
    ]
    sides = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])]
        for name, width in (("features", n_inputs), ("scores", classes))
    ]
    graph = helper.make_graph(nodes, "perceptron", sides[0], sides[1], initializer=stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    name = "-".join(map(str, (*sizes, seed, *(["labelled"] if labelled else []))))
    onnx, evaluation = folder / name / "onnx", folder / name / "evaluation"
    onnx.mkdir(parents=True)
    evaluation.mkdir()
    (onnx / "model.onnx").write_bytes(model.SerializeToString())
    features = tuple(f"f{place}" for place in range(n_inputs))
    read_signature(
        onnx / "model.onnx",
        layout="matrix",
        features=features,
        labels=tuple(range(classes)) if labelled else (),
        sample={"features": np.zeros((2, n_inputs), np.float32)},
    ).write(onnx / "signature.json")
    (evaluation / "metrics.json").write_text("[]")
    about = {
        "task": "classification" if labelled else "regression",
        "split": "test",
        "n_rows": 2,
        "parity": None,
    }
    (evaluation / "evaluation.json").write_text(json.dumps(about))
    write_package(
        folder / name / "package",
        Parts(onnx, evaluation, None, None, ("onnxruntime",)),
        Origin("perceptron"),
    )
    return Perceptron(folder / name / "package", n_inputs)


def json_body(n_inputs: int, n_rows: int = 1) -> bytes:
    """A request in JSON."""
    return json.dumps(
        {"inputs": [_item(n_inputs, n_rows) | {"data": _short(_rows(n_inputs, n_rows))}]}
    ).encode()


def binary_body(n_inputs: int, n_rows: int) -> tuple[bytes, int]:
    """A request with its numbers behind the JSON, both ways; and the JSON's length."""
    data = _rows(n_inputs, n_rows).tobytes()
    item = _item(n_inputs, n_rows) | {"parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [item], "parameters": {"binary_data_output": True}}).encode()
    return head + data, len(head)


def raw_body(n_inputs: int) -> bytes:
    """The same row as its bytes alone."""
    return _rows(n_inputs, 1).tobytes()


def mlflow_body(n_inputs: int) -> bytes:
    """The same row for MLflow."""
    return json.dumps({"inputs": [_short(_rows(n_inputs, 1))]}).encode()


def _item(n_inputs: int, n_rows: int) -> dict[str, object]:
    return {"name": "features", "shape": [n_rows, n_inputs], "datatype": "FP32"}


def _rows(n_inputs: int, n_rows: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=n_rows * n_inputs).astype(np.float32)


def _short(row: np.ndarray) -> list[float]:
    """Four digits behind the point, as people and most programs send numbers."""
    return [round(float(value), 4) for value in row]


if __name__ == "__main__":
    made = make_perceptron(Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
    sys.stdout.write(f"{made.package}\n")
