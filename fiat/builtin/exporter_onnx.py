"""Exporter `onnx`: a model that is ONNX already."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from fiat.errors import SpecError
from fiat.model.precheck import precheck_model
from fiat.ports.exporter import ExportRequest


class OnnxExporter:
    """Takes an `onnx.ModelProto`, or the path of an ONNX file, and changes nothing in it."""

    name = "onnx"
    version = "1"
    frameworks = ("onnx",)
    packages = ("onnx", "onnxruntime")

    def save(self, model: Any, folder: Path) -> None:
        """Copy the file, or serialize the model, to `model.onnx`.

        Raises:
            SpecError: there is no such file.
        """
        (folder / "model.onnx").write_bytes(_content(model))

    def load(self, folder: Path) -> bytes:
        """The bytes of the only ONNX file there.

        Raises:
            SpecError: there is none, or more than one.
        """
        found = [folder] if folder.is_file() else sorted(folder.rglob("*.onnx"))
        if len(found) != 1:
            raise SpecError(
                f"the model is a folder with {len(found)} ONNX files, expected one",
                hint="write one .onnx file to {out.model}",
            )
        return found[0].read_bytes()

    def export(self, model: bytes, request: ExportRequest) -> None:
        """Write it as it is.

        Raises:
            SpecError: the spec asks for another opset than it has.
        """
        request.path.write_bytes(model)
        precheck_model(request.path)
        opsets = {
            item.version
            for item in onnx.ModelProto.FromString(model).opset_import
            if item.domain in ("", "ai.onnx")
        }
        if request.opset is not None and opsets and request.opset not in opsets:
            raise SpecError(
                f"the model has opset {max(opsets)}, the spec asks for {request.opset}",
                hint="leave out export.opset for a model that is ONNX already",
            )

    def predict(self, model: Any, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run it by onnxruntime: the graph is its own framework."""
        session = ort.InferenceSession(_content(model), providers=["CPUExecutionProvider"])
        names = [item.name for item in session.get_inputs()]
        feed = dict(zip(names, inputs.values(), strict=True)) if set(names) != set(inputs) else dict(inputs)
        outputs = [item.name for item in session.get_outputs()]
        return dict(zip(outputs, session.run(outputs, feed), strict=True))


def _content(model: Any) -> bytes:
    if isinstance(model, bytes):
        return model
    if isinstance(model, onnx.ModelProto):
        return bytes(model.SerializeToString(deterministic=True))
    try:
        return Path(model).read_bytes()
    except OSError as error:
        raise SpecError(
            f"the train function returned {model}, which can't be read: {error.strerror}"
        ) from None
