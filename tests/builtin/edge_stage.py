"""Small models with data to convert: a perceptron behind a text column, one on a matrix, one without weights."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from onnx import TensorProto, helper, numpy_helper, save

from fiat.model.package import Origin, Parts, write_package
from fiat.model.signature import read_signature
from fiat.testing.sample_packages import digest_of

sys.path.insert(0, str(Path(__file__).parent.parent / "transform"))
from made_dataset import make_dataset

N_ROWS = 400
CLASSES = ("no", "yes")
KINDS = ("a", "b", "c")
_METRIC = {"name": "accuracy", "value": 0.9, "slice": "", "low": 0.85, "high": 0.94, "n_rows": 200}


@dataclass(frozen=True)
class Staged:
    """A packaged model and its data.

    Attributes:
        package: its folder.
        digest: of it.
        dataset: folder.
    """

    package: Path
    digest: str
    dataset: Path


def with_texts(folder: Path, hidden: int = 64) -> Staged:
    """A perceptron behind a cast and an encoder of texts: raw columns come in."""
    draws = np.random.default_rng(3)
    columns: dict[str, Any] = {
        "size": draws.normal(0, 2, N_ROWS),
        "kind": np.array(KINDS, dtype=object)[draws.integers(0, 3, N_ROWS)],
    }
    code = np.array([KINDS.index(kind) for kind in columns["kind"]], np.float64)
    truth = np.where(columns["size"] + code > 1, "yes", "no")
    nodes = [
        helper.make_node("Cast", ["size"], ["number"], to=TensorProto.FLOAT),
        helper.make_node(
            "LabelEncoder", ["kind"], ["code"], domain="ai.onnx.ml", keys_strings=list(KINDS),
            values_floats=[0.0, 1.0, 2.0], default_float=-1.0,
        ),
        helper.make_node("Concat", ["number", "code"], ["x"], axis=1),
        *_perceptron("x"),
    ]  # fmt: skip
    # One hidden unit carries the rule; the others are there to be quantized.
    first = draws.normal(0, 0.01, (2, hidden)).astype(np.float32)
    first[:, 0] = 1
    last = draws.normal(0, 0.01, (hidden, 2)).astype(np.float32)
    last[0] = (-1, 1)
    stored = _weights(first, last, np.array([1, -1], np.float32))
    inputs = [_value("size", TensorProto.DOUBLE, 1), _value("kind", TensorProto.STRING, 1)]
    sample = {"size": columns["size"][:2, None], "kind": columns["kind"][:2, None]}
    table = pa.table({**columns, "label": truth})
    return _stage(folder, nodes, inputs, stored, sample, "raw", ("size", "kind"), table)


def on_a_matrix(folder: Path, *, scale: float = 1.0) -> Staged:
    """A perceptron on eight numbers."""
    draws = np.random.default_rng(4)
    features = (draws.normal(size=(N_ROWS, 8)) * scale).astype(np.float32)
    first, last = draws.normal(size=(8, 32)).astype(np.float32), draws.normal(size=(32, 2)).astype(np.float32)
    scores = np.maximum(features @ first, 0) @ last
    names = tuple(f"f{index}" for index in range(8))
    columns = {name: features[:, index] for index, name in enumerate(names)}
    table = pa.table({**columns, "label": np.array(CLASSES)[scores.argmax(axis=1)]})
    stored = _weights(first, last, np.zeros(2, np.float32))
    inputs = [_value("features", TensorProto.FLOAT, 8)]
    return _stage(
        folder, _perceptron("features"), inputs, stored, {"features": features[:2]}, "matrix", names, table
    )


def without_weights(folder: Path) -> Staged:
    """A graph that only multiplies: nothing to quantize."""
    draws = np.random.default_rng(5)
    features = draws.normal(size=(N_ROWS, 2)).astype(np.float32)
    table = pa.table(
        {"f0": features[:, 0], "f1": features[:, 1], "label": np.array(CLASSES)[features.argmax(axis=1)]}
    )
    nodes = [helper.make_node("Mul", ["features", "w"], ["scores"])]
    stored = [numpy_helper.from_array(np.float32([2, 2]), "w")]
    inputs = [_value("features", TensorProto.FLOAT, 2)]
    return _stage(folder, nodes, inputs, stored, {"features": features[:2]}, "matrix", ("f0", "f1"), table)


def _perceptron(name: str) -> list[Any]:
    return [
        helper.make_node("Gemm", [name, "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["scores"]),
    ]


def _weights(first: np.ndarray, last: np.ndarray, bias: np.ndarray) -> list[Any]:
    zeros = np.zeros(first.shape[1], np.float32)
    named = {"w1": first, "b1": zeros, "w2": last, "b2": bias}
    return [numpy_helper.from_array(array, name) for name, array in named.items()]


def _value(name: str, kind: int, width: int) -> Any:
    return helper.make_tensor_value_info(name, kind, ["n", width])


def _stage(
    folder: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    stored: Sequence[Any],
    sample: dict[str, np.ndarray],
    layout: str,
    features: tuple[str, ...],
    table: pa.Table,
) -> Staged:
    onnx, evaluation = folder / "onnx", folder / "evaluation"
    onnx.mkdir(parents=True)
    evaluation.mkdir()
    graph = helper.make_graph(
        nodes, "g", inputs, [_value("scores", TensorProto.FLOAT, 2)], initializer=stored
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(onnx / "model.onnx"))
    read_signature(
        onnx / "model.onnx", layout=layout, features=features, labels=CLASSES, sample=sample
    ).write(onnx / "signature.json")
    about = {"task": "classification", "split": "test", "n_rows": 200, "parity": None, "scores": "logits"}
    (evaluation / "metrics.json").write_text(json.dumps([_METRIC]))
    (evaluation / "evaluation.json").write_text(json.dumps(about))
    package = folder / "package"
    write_package(package, Parts(onnx, evaluation, None, None, ("onnxruntime==1.20.0",)), Origin("tiny"))
    parts = ["train", "train", "test", "eval"] * (N_ROWS // 4)
    dataset = make_dataset(folder / "data", table, parts, label="label")
    return Staged(package, digest_of(package), dataset)
