"""What a package is made of, small."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fiat.evaluate.folder import Evaluation, write_evaluation
from fiat.evaluate.parity import Parity
from fiat.evaluate.rows import ClassRows
from fiat.model.package import Origin, Parts
from fiat.model.signature import read_signature

sys.path.insert(0, str(Path(__file__).parent))
import onnx_graphs as graphs

METRICS: list[dict[str, Any]] = [
    {"name": "accuracy", "value": 0.9, "slice": "", "low": 0.85, "high": 0.94, "n_rows": 200},
    {"name": "log_loss", "value": None, "slice": "", "low": None, "high": None, "n_rows": 200},
    {"name": "accuracy", "value": 0.7, "slice": "kind=b", "low": 0.6, "high": 0.8, "n_rows": 40},
    {"name": "accuracy", "value": 0.95, "slice": "kind=a", "low": 0.9, "high": 0.99, "n_rows": 160},
]
GATES = [
    {
        "name": "accuracy >= 0.8",
        "state": "pass",
        "reason": "accuracy 0.9 reaches 0.8",
        "value": 0.9,
        "limit": 0.8,
    }
]
ORIGIN = Origin(
    name="tiny",
    alias="champion",
    spec="tiny",
    spec_digest="ab" * 32,
    plan_digest="cd" * 32,
    commit="0123456789abcdef0123456789abcdef01234567",
    params={"seed": 7, "net": {"width": 3}},
    data={"data.d": "ef" * 16 + ".dir"},
)


def _evaluation() -> Evaluation:
    """200 rows of three classes, nine of ten right, none of them sure."""
    labels = np.arange(200) % 3
    predicted = np.where(np.arange(200) % 10 == 0, (labels + 1) % 3, labels)
    scores = np.full((200, 3), 0.1, np.float32)
    scores[np.arange(200), predicted] = 0.8
    rows = ClassRows(labels, predicted, scores, ("a", "b", "c"))
    parity = Parity(max_abs=2.5e-7, mean_abs=1e-8, label_mismatches=0, n_rows=200)
    return Evaluation("classification", "test", "kind", rows, parity=parity, scores="logits")


def parts(folder: Path, **more: Any) -> Parts:
    """Folders as the steps before write them."""
    onnx, evaluation = folder / "onnx", folder / "evaluation"
    onnx.mkdir(parents=True)
    write_evaluation(evaluation, _evaluation(), {})
    graphs.write(more.pop("graph", None) or graphs.scaling(), onnx / "model.onnx")
    sample = {"x": np.zeros((2, 3), np.float32)}
    signature = read_signature(
        onnx / "model.onnx", layout="matrix", features=("p", "q", "r"), labels=("a", "b", "c"), sample=sample
    )
    signature.write(onnx / "signature.json")
    (onnx / "framework.arrow").write_bytes(b"not packed")
    (evaluation / "metrics.json").write_text(json.dumps(more.pop("metrics", METRICS)))
    (folder / "gates.json").write_text(json.dumps({"gates": GATES}))
    given = {
        "gates": folder / "gates.json",
        "card": None,
        "requirements": ("numpy==2.0.0", "onnxruntime==1.20.0"),
    }
    return Parts(onnx, evaluation, **{**given, **more})
