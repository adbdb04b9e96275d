"""Step `evaluate`: run the exported model on a split and measure it. A baseline's package is measured the same way."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fiat.data.dataset import Dataset, open_dataset
from fiat.errors import EnvironmentFault, SpecError
from fiat.evaluate.catalog import Task
from fiat.evaluate.feeds import GraphInputs, column_array, read_feeds, stack_outputs
from fiat.evaluate.folder import LABEL_WORD, Evaluation, json_values, slice_columns, write_evaluation
from fiat.evaluate.judged import Judged, judge_rows
from fiat.evaluate.measure import Measured, check_metrics, measure, undefined_warnings
from fiat.evaluate.onnx_scores import predict_batches
from fiat.evaluate.parity import Parity, compare_outputs
from fiat.evaluate.plots import plot_data
from fiat.evaluate.slices import Slice, cut
from fiat.model.precheck import precheck_model
from fiat.model.probe import probe_model
from fiat.ports.step import StepContext, StepOutcome
from fiat.run.model import Metric

Outputs = dict[str, npt.NDArray[np.generic]]
PARITY_SPLIT = "test"


@dataclass(frozen=True)
class _Request:
    """The step's params."""

    split: str
    task: Task | None
    metrics: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    confidence: float
    plots: tuple[str, ...]
    seed: int


@dataclass(frozen=True)
class _Model:
    """An exported model: a copy of its own that has been looked at, and where its framework's outputs would lie."""

    path: Path
    framework: Path
    inputs: GraphInputs
    labels: tuple[object, ...] | None


class EvaluateStep:
    """Measures a model.

    Inputs: `onnx` (the candidate) or `package` (a baseline), and `dataset`. Output: `evaluation`, the folder of
    `fiat/evaluate/folder.py`. A baseline that can't be run on this data is no error: the evaluation says why, and gates
    treat it as missing.
    """

    name = "evaluate"
    version = "1"
    packages = ("numpy", "onnx", "onnxruntime", "pyarrow", "scikit-learn")

    def run(self, context: StepContext) -> StepOutcome:
        """Predict, measure, and write the evaluation.

        Raises:
            SpecError: the model doesn't fit the data, or a metric, slice or plot doesn't fit the model.
            EnvironmentFault: a file is damaged.
        """
        request = _read_request(context.params)
        target, dataset = context.outputs["evaluation"], open_dataset(context.inputs["dataset"])
        if "onnx" in context.inputs:
            return _evaluate(
                request, _read_model(context.inputs["onnx"], dataset, context.work_dir), dataset, target
            )
        try:
            return _evaluate(
                request, _read_model(context.inputs["package"], dataset, context.work_dir), dataset, target
            )
        except SpecError as error:
            reason = f"the baseline can't be measured on this data: {error.message}"
            task = request.task or "classification"
            write_evaluation(target, Evaluation(task, request.split, "", None, unusable=reason), {})
            return StepOutcome(facts={"unusable": reason})


def _evaluate(request: _Request, model: _Model, dataset: Dataset, target: Path) -> StepOutcome:
    table = _read_split(dataset, request.split)
    outputs = _predict(model, table)
    label = _single(table.column(dataset.label))
    judged = judge_rows(outputs, label, task=request.task, classes=dataset.classes, model_labels=model.labels)
    names = check_metrics(request.metrics, judged.rows)
    plots = plot_data(judged.rows, request.plots, seed=request.seed)
    columns = _slice_values(request, dataset.label, judged, table)
    shell = Evaluation(judged.task, request.split, str(dataset.label), judged.rows, columns)
    slices = [part for by in request.slices for part in cut(slice_columns(shell, by))]
    measured = _measure(request, judged, names, slices)
    evaluation = Evaluation(
        task=judged.task,
        split=request.split,
        label=str(dataset.label),
        rows=judged.rows,
        columns=columns,
        measured=measured,
        parity=_parity(request, dataset, model, outputs),
        model_size_bytes=model.path.stat().st_size,
        scores=judged.scores,
    )
    write_evaluation(target, evaluation, plots)
    warnings = judged.warnings + undefined_warnings(measured, judged.rows.invalid_rows)
    return StepOutcome(_metrics(measured), _facts(evaluation), warnings)


def _read_request(params: Mapping[str, object]) -> _Request:
    said = cast(Mapping[str, Any], params)
    slices = [(by,) if isinstance(by, str) else tuple(by) for by in said.get("slices") or ()]
    # A metric with `call` is the user's own step; here are only the known ones.
    metrics = [item["name"] if isinstance(item, Mapping) else item for item in said.get("metrics") or ()]
    return _Request(
        split=said.get("split") or "test",
        task=said.get("task"),
        metrics=tuple(name for name in metrics if name),
        slices=tuple(dict.fromkeys(slices)),
        confidence=float(said.get("confidence") or 0.95),
        plots=tuple(said.get("plots") or ()),
        seed=int(said.get("seed") or 0),
    )


def _read_model(folder: Path, dataset: Dataset, work_dir: Path) -> _Model:
    signature = _read_signature(folder / "signature.json")
    if not dataset.label:
        raise SpecError("the data has no label to judge by", hint="name its column in data.<name>.label")
    inputs = GraphInputs(
        layout=signature["layout"],
        features=tuple(signature["features"]),
        names=tuple(item["name"] for item in signature["inputs"]),
        dtypes=tuple(item["dtype"] for item in signature["inputs"]),
    )
    labels = signature["labels"]
    return _Model(
        _safe_copy(folder, work_dir), folder / "framework.arrow", inputs, tuple(labels) if labels else None
    )


def _read_signature(path: Path) -> Mapping[str, Any]:
    try:
        signature = json.loads(path.read_bytes())
        missing = {"inputs", "layout", "features", "labels"} - set(signature)
    except (OSError, ValueError, TypeError) as error:
        raise EnvironmentFault(
            f"signature.json can't be read: {error}", hint="export the model again"
        ) from error
    if missing:
        raise EnvironmentFault(
            f"signature.json lacks {', '.join(sorted(missing))}", hint="export the model again"
        )
    return cast(Mapping[str, Any], signature)


def _safe_copy(folder: Path, work_dir: Path) -> Path:
    """The graph as a file of our own (the store may have linked it), pre-checked and loaded once where it can do no harm."""
    path = work_dir / f"{folder.name}.onnx"
    try:
        shutil.copyfile(folder / "model.onnx", path)
    except OSError as error:
        raise EnvironmentFault(
            f"model.onnx can't be read: {error.strerror}", hint="run the export again"
        ) from error
    precheck_model(path)
    probe_model(path)
    return path


def _read_split(dataset: Dataset, split: str) -> Any:
    table = dataset.split(split).table()
    if table.num_rows == 0:
        raise SpecError(f"the {split} split has no rows", hint="give it a share in data.<name>.split")
    return table


def _predict(model: _Model, table: Any) -> Outputs:
    return stack_outputs(list(predict_batches(model.path, read_feeds(table, model.inputs))))


def _slice_values(request: _Request, label: str | None, judged: Judged, table: Any) -> dict[str, Any]:
    """The columns that slices are made by, for the judged rows; the label stands among the predictions already."""
    found = {}
    for name in dict.fromkeys(column for by in request.slices for column in by):
        if name == label or (name == LABEL_WORD and name not in table.column_names):
            continue
        if name not in table.column_names:
            raise SpecError(
                f"there is no column {name} to slice by",
                hint="the data has " + ", ".join(table.column_names),
            )
        found[name] = _single(table.column(name).take(pa.array(judged.kept)))
    return found


def _measure(
    request: _Request, judged: Judged, names: Sequence[str], slices: Sequence[Slice]
) -> tuple[Measured, ...]:
    return measure(judged.rows, names, slices, confidence=request.confidence, seed=request.seed)


def _parity(request: _Request, dataset: Dataset, model: _Model, outputs: Outputs) -> Parity | None:
    """Against what the framework's model itself said of the test split; a package doesn't keep that."""
    if not model.framework.exists():
        return None
    with pa.memory_map(str(model.framework)) as source:
        table = pa.ipc.open_file(source).read_all()
    if table.num_rows == 0:
        return None
    graph = outputs if request.split == PARITY_SPLIT else _predict(model, _read_split(dataset, PARITY_SPLIT))
    return compare_outputs({name: column_array(table.column(name)) for name in table.column_names}, graph)


def _single(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _metrics(measured: Sequence[Measured]) -> tuple[Metric, ...]:
    return tuple(
        Metric(item.name, item.value, None, item.slice, item.low, item.high, item.n_rows) for item in measured
    )


def _facts(evaluation: Evaluation) -> dict[str, object]:
    return {
        "task": evaluation.task,
        "split": evaluation.split,
        "n_rows": evaluation.rows.n_rows if evaluation.rows else 0,
        "scores": evaluation.scores,
        "parity": json_values(asdict(evaluation.parity)) if evaluation.parity else None,
        "model_size_bytes": evaluation.model_size_bytes,
    }
