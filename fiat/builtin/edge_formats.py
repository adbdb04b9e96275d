"""Formats for devices: our own, which onnxruntime reads, and those of plugins. Only what is asked for is imported."""

import shutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.edge import Arrays, EdgeFormat, Predict

GROUP = "fiat.edge"
FAULTS = (
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
_OURS = {"onnx": "fiat.builtin.edge_formats:OnnxFormat", "ort": "fiat.builtin.edge_ort:OrtFormat"}
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
        return open_graph(path)


def edge_format(name: str) -> EdgeFormat:
    """The format of that name.

    Raises:
        EnvironmentFault: it needs a plugin that is not installed or can't be loaded.
    """
    ours = (EntryPoint(name, _OURS[name], GROUP),) if name in _OURS else ()
    found = ours or tuple(entry_points(group=GROUP, name=name))
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


def open_graph(path: Path) -> Predict:
    """Load an ONNX file or one in ORT format on the CPU, with one thread.

    Raises:
        SpecError: onnxruntime refuses it.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except FAULTS as error:
        raise SpecError(f"onnxruntime can't load {path.name}: {first_line(error)}") from error
    names = [output.name for output in session.get_outputs()]

    def predict(feeds: Arrays) -> dict[str, object]:
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except FAULTS as error:
            raise SpecError(f"onnxruntime can't run {path.name}: {first_line(error)}") from error

    return predict  # type: ignore[return-value]  # tensors, as the packaged graph was found to give


def first_line(error: BaseException) -> str:
    """What an error says first, at most 300 letters."""
    return str(error).strip().partition("\n")[0][:300]
