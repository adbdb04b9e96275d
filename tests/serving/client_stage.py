"""Models that clients of other people ask: every datatype, and raw columns."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from fiat.model.package import Origin, Parts, write_package
from fiat.model.signature import read_signature
from fiat.serving.tensors import DATATYPES
from fiat.testing.sample_packages import SamplePackage, digest_of

ONNX_TYPES = {
    name: helper.np_dtype_to_tensor_dtype(dtype) for name, dtype in DATATYPES.items() if name != "BYTES"
}
ONNX_TYPES["BYTES"] = TensorProto.STRING
LABELS = ("old", "young")


def every_package(folder: Path) -> SamplePackage:
    """A model that gives back what it takes, a pair a row of each datatype: `in_FP32` becomes `out_FP32`."""
    sides = [
        [helper.make_tensor_value_info(f"{side}_{name}", kind, ["n", 2]) for name, kind in ONNX_TYPES.items()]
        for side in ("in", "out")
    ]
    nodes = [helper.make_node("Identity", [f"in_{name}"], [f"out_{name}"]) for name in ONNX_TYPES]
    sample = {f"in_{name}": np.full((2, 2), "", object) if name == "BYTES" else np.zeros((2, 2), dtype)
              for name, dtype in DATATYPES.items()}  # fmt: skip
    return _package(folder, "every", nodes, sides, sample, layout="columns", labels=())


def table_package(folder: Path) -> SamplePackage:
    """A classifier of raw columns: logits of `old` and `young` are the age and its opposite; the town comes back twice."""
    sides = [
        [
            helper.make_tensor_value_info("age", TensorProto.DOUBLE, ["n", 1]),
            helper.make_tensor_value_info("town", TensorProto.STRING, ["n", 1]),
        ],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2]),
            helper.make_tensor_value_info("place", TensorProto.STRING, ["n", 2]),
        ],
    ]
    nodes = [
        helper.make_node("Cast", ["age"], ["years"], to=TensorProto.FLOAT),
        helper.make_node("Neg", ["years"], ["youth"]),
        helper.make_node("Concat", ["years", "youth"], ["scores"], axis=1),
        helper.make_node("Concat", ["town", "town"], ["place"], axis=1),
    ]
    sample = {"age": np.zeros((2, 1)), "town": np.full((2, 1), "", object)}
    return _package(folder, "table", nodes, sides, sample, layout="raw", labels=LABELS)


def _package(
    folder: Path,
    name: str,
    nodes: Sequence[Any],
    sides: Sequence[Any],
    sample: dict[str, Any],
    *,
    layout: str,
    labels: tuple[object, ...],
) -> SamplePackage:
    onnx, evaluation = folder / name / "onnx", folder / name / "evaluation"
    onnx.mkdir(parents=True)
    evaluation.mkdir()
    graph = helper.make_graph(list(nodes), "g", *sides)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    (onnx / "model.onnx").write_bytes(model.SerializeToString())
    signature = read_signature(
        onnx / "model.onnx", layout=layout, features=tuple(sample), labels=labels, sample=sample
    )
    signature.write(onnx / "signature.json")
    (evaluation / "metrics.json").write_text("[]")
    about = {"task": "classification", "split": "test", "n_rows": 2, "parity": None, "scores": "logits"}
    (evaluation / "evaluation.json").write_text(json.dumps(about))
    target = folder / f"package-{name}"
    write_package(target, Parts(onnx, evaluation, None, None, ("onnxruntime==1.20.0",)), Origin(name))
    return SamplePackage(target, digest_of(target))
