"""A small real package that takes raw columns: a number and a text in, a class out, and rows that it can't answer."""

import json
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from fiat.model.package import Origin, Parts, write_package
from fiat.model.signature import read_signature
from fiat.testing.sample_packages import SamplePackage, digest_of

AGES = 100
"""Ages from here on can't be answered: the graph looks them up in a table of this length."""
_METRIC = {"name": "accuracy", "value": 0.9, "slice": "", "low": 0.85, "high": 0.94, "n_rows": 200}
_ABOUT = {"task": "classification", "split": "test", "n_rows": 200, "parity": None, "scores": "logits"}


def make_column_package(folder: Path, limit: int, name: str = "guests") -> SamplePackage:
    """A package whose model answers `yes` for ages above a limit, a little more readily in Ulm.

    Its columns are `age`, a number, and `city`, a text; a missing age counts as 0. The scores are logits of `no` and
    `yes`: `(-s, s)` with `s = age - limit`, plus a half in Ulm.

    Args:
        folder: empty or new; the package is a folder in it.
        limit: 0 to 99; another one gives another package.
        name: of the model.
    """
    onnx, evaluation = folder / f"{limit}" / "onnx", folder / f"{limit}" / "evaluation"
    onnx.mkdir(parents=True)
    evaluation.mkdir()
    table = numpy_helper.from_array(np.arange(AGES, dtype=np.float32) - limit, "table")
    zero = numpy_helper.from_array(np.array(0, np.float64), "zero")
    nodes = [
        helper.make_node("IsNaN", ["age"], ["missing"]),
        helper.make_node("Where", ["missing", "zero", "age"], ["known"]),
        helper.make_node("Cast", ["known"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["above"]),
        helper.make_node(
            "LabelEncoder",
            ["city"],
            ["extra"],
            domain="ai.onnx.ml",
            keys_strings=["Ulm"],
            values_floats=[0.5],
            default_float=0.0,
        ),
        helper.make_node("Add", ["above", "extra"], ["yes"]),
        helper.make_node("Neg", ["yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["scores"], axis=1),
    ]
    inputs = [
        helper.make_tensor_value_info("age", TensorProto.DOUBLE, ["n", 1]),
        helper.make_tensor_value_info("city", TensorProto.STRING, ["n", 1]),
    ]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph(nodes, "g", inputs, [output], initializer=[table, zero])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(onnx / "model.onnx"))
    sample = {"age": np.zeros((2, 1)), "city": np.array([["Ulm"], [""]], object)}
    signature = read_signature(
        onnx / "model.onnx", layout="raw", features=("age", "city"), labels=("no", "yes"), sample=sample
    )
    signature.write(onnx / "signature.json")
    (evaluation / "metrics.json").write_text(json.dumps([_METRIC]))
    (evaluation / "evaluation.json").write_text(json.dumps(_ABOUT))
    target = folder / f"columns{limit}"
    origin = Origin(name, alias="champion", commit="c0ffee" * 6 + "c0ff", params={"limit": limit})
    write_package(target, Parts(onnx, evaluation, None, None, ("onnxruntime==1.20.0",)), origin)
    return SamplePackage(target, digest_of(target))
