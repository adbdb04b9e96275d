"""Format `ort`, on its own since onnxruntime's converter imports much that nothing else needs."""

import contextlib
import io
import shutil
from pathlib import Path

import onnxruntime as ort
from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

from fiat.builtin.edge_formats import FAULTS, first_line, open_graph
from fiat.errors import SpecError
from fiat.ports.edge import Predict

OPERATORS = "required_operators.config"


class OrtFormat:
    """ORT format: what small builds of onnxruntime read, with the list of operators that such a build needs.

    Source: onnxruntime documentation, "ORT model format" and "Reduced operator config file". Optimizations that fit one
    kind of CPU only are left out, as the converter does unless it is told a platform.
    """

    name = "ort"
    version = "1"
    runtime = f"onnxruntime {ort.__version__}"
    quantizes: tuple[str, ...] = ()
    takes_quantized = True

    def convert(self, model: Path, folder: Path, quantize: str) -> Path:
        """Write `model.ort` and `required_operators.config`.

        Raises:
            SpecError: onnxruntime can't convert it.
        """
        source = folder / "source" / "model.onnx"
        source.parent.mkdir()
        shutil.copyfile(model, source)
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said):
                convert_onnx_models_to_ort(source, folder, [OptimizationStyle.Fixed])
        except FAULTS as error:
            raise SpecError(
                f"onnxruntime can't convert the model to ORT format: {first_line(error)}"
            ) from error
        shutil.rmtree(source.parent)
        (folder / f"model.{OPERATORS}").rename(folder / OPERATORS)
        return folder / "model.ort"

    def open(self, path: Path) -> Predict:
        """Load it on the CPU with one thread."""
        return open_graph(path)
