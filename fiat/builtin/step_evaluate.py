"""Step `evaluate`: run the exported model on a split and measure it. A baseline's package is measured the same way."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from fiat.errors import SpecError
from fiat.evaluate.catalog import Task
from fiat.evaluate.feeds import GraphInputs, read_feeds, stack_outputs
from fiat.evaluate.folder import LABEL_WORD, Evaluation, slice_columns, write_evaluation
from fiat.evaluate.measure import Measured, check_metrics, measure, undefined_warnings
from fiat.evaluate.onnx_scores import predict_batches
from fiat.evaluate.parity import Parity, compare_outputs
from fiat.evaluate.plots import plot_data
from fiat.evaluate.predictions import class_rows, read_classes, read_values
from fiat.evaluate.rows import ValueRows
from fiat.evaluate.slices import Slice, cut
from fiat.ports.step import StepContext, StepOutcome
from fiat.run.model import Metric

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Request:
    """The params, read."""

    split: str
    task: Task | None
    metrics: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    confidence: float
    plots: tuple[str, ...]
    seed: int


class EvaluateStep:
    """Measures a model.

    Inputs: `onnx` (the candidate) or `package` (a baseline), and `dataset`. Output: `evaluation`, see
    `fiat/evaluate/folder.py`. A baseline that can't be run on this data is no error: the evaluation says why, and gates
    treat it as missing.
    """

    name = "evaluate"
    version = "1"
    packages = ("numpy", "onnxruntime", "scikit-learn")

    def run(self, context: StepContext) -> StepOutcome:
        """Predict, measure, and write the evaluation.

        Raises:
            SpecError: the model doesn't fit the data, or a metric, slice or plot doesn't fit the model.
            EnvironmentFault: a file is damaged, or the model could not be loaded in its limits.
        """
        request = _read_request(context.params)
        folder = context.outputs["evaluation"]
        if "onnx" in context.inputs:
            return _evaluate(request, context.inputs["onnx"], context, folder)
        package = context.inputs["package"]
        try:
            return _evaluate(request, package, context, folder)
        except SpecError as error:
            reason = f"the baseline can't be measured on this data: {error.message}"
            size = (package / "model.onnx").stat().st_size if (package / "model.onnx").exists() else 0
            unusable = Evaluation(
                request.task or "classification", request.split, "", None, unusable=reason, model_size_bytes=size
            )
            write_evaluation(folder, unusable, {})
            return StepOutcome(facts={"unusable": reason})


def _evaluate(request: _Request, model: Path, context: StepContext, folder: Path) -> StepOutcome:
    dataset = context.inputs["dataset"]
    about = json.loads((dataset / "dataset.json").read_bytes())
    signature = json.loads((model / "signature.json").read_bytes())
    if not about["label"]:
        raise SpecError("the data has no label to judge by", hint="name the column in data.<name>.label")
    inputs = _graph_inputs(signature, about)
    table = _read_split(dataset, request.split)
    if table.num_rows == 0:
        raise SpecError(
            f"the {request.split} split has no rows", hint="give it a share in data.<name>.split"
        )
    outputs = _predict(model, table, inputs)
    evaluation, warnings = _judge_rows(request, about, signature, table, outputs)
    parity = _parity(request, model, dataset, inputs, outputs)
    names = check_metrics(request.metrics, evaluation.rows)
    measured = measure(
        evaluation.rows, names, _slices(request, evaluation), confidence=request.confidence, seed=request.seed
    )
    evaluation = replace(
        evaluation,
        measured=measured,
        parity=parity,
        model_size_bytes=(model / "model.onnx").stat().st_size,
    )
    write_evaluation(folder, evaluation, plot_data(evaluation.rows, request.plots, seed=request.seed))
    warnings += undefined_warnings(measured, evaluation.rows.invalid_rows)
    return StepOutcome(_metrics(measured), _facts(evaluation), warnings)
