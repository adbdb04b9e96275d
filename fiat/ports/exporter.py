"""Port `exporter`: makes a framework's trained model an ONNX graph. Plugins: `torch`, `sklearn`, `onnx`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class ExportRequest:
    """What to export to.

    Attributes:
        path: ONNX file to write.
        sample: input name to an array `(n_rows, ...)` of real rows, n_rows 2 or more; dict order is input order.
        opset: ONNX opset of the default domain; None leaves the choice to the exporter.
        labels: class labels in the order of the model's scores; empty for regression.
    """

    path: Path
    sample: Mapping[str, np.ndarray]
    opset: int | None
    labels: tuple[object, ...]


class Exporter(Protocol):
    """Knows one framework. Runs in the user's child process only: loading a model runs the user's code.

    Attributes:
        name: the entry point's name.
        version: part of the fingerprint of export steps.
        frameworks: top-level modules whose classes it takes, such as `("torch",)`; looked up along the MRO.
        packages: distributions whose version can change the graph.
    """

    name: str
    version: str
    frameworks: tuple[str, ...]
    packages: tuple[str, ...]

    def save(self, model: Any, folder: Path) -> None:
        """Write the model into an empty folder, so that `load` in a new process gives it back."""
        ...

    def load(self, folder: Path) -> Any:
        """Read what `save` wrote."""
        ...

    def export(self, model: Any, request: ExportRequest) -> None:
        """Write the ONNX file: dynamic first axis on every input and output.

        Raises:
            SpecError: the model has something that ONNX can't say; the message names it.
        """
        ...

    def predict(self, model: Any, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the framework's own model: output name to array `(n_rows, ...)`, names and order as in the exported graph."""
        ...
