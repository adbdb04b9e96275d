"""Small packages that are real: a graph that multiplies, what is known of it, and their digests."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from fiat.model.package import Origin, Parts, write_package
from fiat.model.signature import read_signature

_WIDTH = 3
_METRIC = {"name": "accuracy", "value": 0.9, "slice": "", "low": 0.85, "high": 0.94, "n_rows": 200}
_ABOUT = {"task": "classification", "split": "test", "n_rows": 200, "parity": None, "scores": "logits"}


@dataclass(frozen=True)
class SamplePackage:
    """A package.

    Attributes:
        folder: where it lies.
        digest: as the store has it.
    """

    folder: Path
    digest: str


def make_package(folder: Path, number: int) -> SamplePackage:
    """A package whose model multiplies by a number.

    Args:
        folder: empty or new; the package is a folder in it.
        number: another one gives another package.
    """
    onnx, evaluation = folder / f"{number}" / "onnx", folder / f"{number}" / "evaluation"
    onnx.mkdir(parents=True)
    evaluation.mkdir()
    weight = numpy_helper.from_array(np.full(_WIDTH, number, np.float32), "w")
    sides = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", _WIDTH]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])], "g", sides[:1], sides[1:], initializer=[weight]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    save(model, str(onnx / "model.onnx"))
    sample = {"x": np.zeros((2, _WIDTH), np.float32)}
    signature = read_signature(
        onnx / "model.onnx", layout="matrix", features=("p", "q", "r"), labels=("a", "b", "c"), sample=sample
    )
    signature.write(onnx / "signature.json")
    (evaluation / "metrics.json").write_text(json.dumps([_METRIC]))
    (evaluation / "evaluation.json").write_text(json.dumps(_ABOUT))
    target = folder / f"package{number}"
    rows = ({"x": np.ones((1, _WIDTH), np.float32)},)
    parts = Parts(onnx, evaluation, None, None, ("onnxruntime==1.20.0",), rows=rows)
    write_package(target, parts, Origin("tiny"))
    return SamplePackage(target, digest_of(target))


def digest_of(folder: Path) -> str:
    """The digest of a flat folder as the store has it: MD5 in DVC's way, with `.dir` behind it."""
    files = [
        {"md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(), "relpath": path.name}
        for path in sorted(folder.iterdir())
    ]
    listing = json.dumps(files, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
