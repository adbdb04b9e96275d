"""Formats for devices: our own two, which onnxruntime reads, and those of plugins."""

import contextlib
import io
import shutil
from importlib.metadata import entry_points
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults
from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.edge import Arrays, EdgeFormat, Predict

GROUP = "fiat.edge"
OPERATORS = "required_operators.config"
_FAULTS = (
    faults.Fail,
    faults.InvalidArgument,
    faults.InvalidGraph,
    faults.InvalidProtobuf,
    faults.NotImplemented,
    faults.RuntimeException,
    faults.EPFail,
    faults.NoSuchFile,
    RuntimeError,
    ValueError,
    TypeError,
    OSError,
)
_PLUGINS = {"tflite": "fiat-litert"}


class OnnxFormat:
    """An ONNX file as it is."""

    name = "onnx"
    version = "1"
    runtime = f"onnxruntime {ort.__version__}"
    quantizes: tuple[str, ...] = ()
    takes_quantized = True

    def convert(self, model: Path, folder: Path, quantize: str) -> Path:
        """Copy the file."""
        return Path(shutil.copyfile(model, folder / "model.onnx"))

    def open(self, path: Path) -> Predict:
        """Load it on the CPU with one thread."""
        return _open(path)


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
        except _FAULTS as error:
            raise SpecError(
                f"onnxruntime can't convert the model to ORT format: {_first_line(error)}"
            ) from error
        shutil.rmtree(source.parent)
        (folder / f"model.{OPERATORS}").rename(folder / OPERATORS)
        return folder / "model.ort"

    def open(self, path: Path) -> Predict:
        """Load it on the CPU with one thread."""
        return _open(path)


def edge_format(name: str) -> EdgeFormat:
    """The format of that name.

    Raises:
        EnvironmentFault: it needs a plugin that is not installed or can't be loaded.
    """
    ours: dict[str, EdgeFormat] = {"onnx": OnnxFormat(), "ort": OrtFormat()}
    if name in ours:
        return ours[name]
    found = tuple(entry_points(group=GROUP, name=name))
    if not found:
        raise EnvironmentFault(
            f"no plugin writes the format {name}", hint=f"install {_PLUGINS.get(name, 'one that does')}"
        )
    try:
        made: EdgeFormat = found[0].load()()
    except ImportError as error:
        raise EnvironmentFault(
            f"the plugin for the format {name} can't be imported: {error}",
            hint=f"reinstall the package of {found[0].value}",
        ) from error
    return made


def _open(path: Path) -> Predict:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _FAULTS as error:
        raise SpecError(f"onnxruntime can't load {path.name}: {_first_line(error)}") from error
    names = [output.name for output in session.get_outputs()]

    def predict(feeds: Arrays) -> dict[str, object]:
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except _FAULTS as error:
            raise SpecError(f"onnxruntime can't run {path.name}: {_first_line(error)}") from error

    return predict  # type: ignore[return-value]  # tensors, as the packaged graph was found to give


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
