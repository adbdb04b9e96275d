"""Step `transform`: fit the spec's transforms on the train split, compile them to ONNX, and transform every split."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from fiat.data.dataset import open_dataset
from fiat.errors import EnvironmentFault
from fiat.model.precheck import precheck_model
from fiat.ports.step import StepContext, StepOutcome
from fiat.transform.apply import transform_dataset
from fiat.transform.document import write_transform
from fiat.transform.fit import fit_transforms
from fiat.transform.model import Entry, Fitted

_SHOWN = 200


class TransformStep:
    """Fits and applies transforms.

    Inputs: `dataset`, and `graph.<n>` for entries whose graph is the user's own. Outputs: `transform`, the folder with
    `transform.onnx` and `transform.json`, and `dataset`, the transformed rows in the dataset format.
    """

    name = "transform"
    version = "1"
    packages = ("numpy", "onnx", "onnxruntime", "pyarrow")

    def run(self, context: StepContext) -> StepOutcome:
        """Fit on train only, write the graph, run every row through it.

        Raises:
            SpecError: a transform does not fit its columns.
            EnvironmentFault: an input is damaged, or the disk is full.
        """
        params = cast(Mapping[str, Any], context.params)
        source = context.inputs["dataset"]
        dataset = open_dataset(source)
        entries = [_entry(item, context.inputs) for item in params["transform"]]
        fitted = fit_transforms(dataset.train.table(), dataset.feature_names, entries)
        write_transform(context.outputs["transform"], fitted)
        precheck_model(context.outputs["transform"] / "transform.onnx")
        transform_dataset(source, fitted, context.outputs["dataset"])
        return StepOutcome(facts=_facts(fitted, context.outputs["dataset"]))


def _entry(said: Mapping[str, Any], inputs: Mapping[str, Path]) -> Entry:
    graph = None
    if said.get("graph"):
        path = inputs[said["graph"]]
        precheck_model(path)
        try:
            graph = path.read_bytes()
        except OSError as error:
            raise EnvironmentFault(f"the graph of {said['key']} can't be read: {error.strerror}") from error
    apply = tuple((word, setting) for item in said.get("apply") or () for word, setting in item.items())
    return Entry(tuple(said["columns"]), apply, graph, str(said["key"]))


def _facts(fitted: Fitted, folder: Path) -> dict[str, object]:
    rows = json.loads((folder / "dataset.json").read_text("utf-8"))["splits"]
    return {
        "rows": {split: item["rows"] for split, item in rows.items()},
        "inputs": [column.name for column in fitted.inputs],
        "outputs": [
            {
                "name": item.name,
                "dtype": item.dtype,
                "shape": list(item.shape),
                "names": list(item.names[:_SHOWN]),
            }
            for item in fitted.outputs
        ],
    }
