"""Exporter `torch`: a trained `torch.nn.Module` becomes an ONNX graph by torch.export."""

import contextlib
import io
import logging
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from fiat.errors import SpecError
from fiat.ports.exporter import ExportRequest
from fiat_torch.outputs import name_outputs
from fiat_torch.trace import Arguments, bind_inputs, first_line, trace_module

FILE = "model.pt"
_NOISY = ("torch.onnx", "torch.export", "torch.fx", "onnxscript", "onnx_ir")
_OPERATOR = re.compile(r"No ONNX function found for <OpOverload\(op='([^']+)'")


class TorchExporter:
    """Takes a `torch.nn.Module` whose class stands at the top of a module of the user's code.

    `forward` is given the model's inputs as tensors `(n_rows, ...)`, by name when its parameters are called so, else in
    order. Outputs are named as `fiat_torch.outputs` says.
    """

    name = "torch"
    version = "1"
    frameworks = ("torch",)
    packages = ("onnx", "onnxscript", "torch")

    def save(self, model: Any, folder: Path) -> None:
        """Pickle the module to `model.pt`.

        Raises:
            SpecError: it is no module, or its class can't be found again by name.
        """
        module = _plain_module(model)
        try:
            torch.save(module, folder / FILE)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SpecError(
                f"the {type(module).__name__} can't be saved: {first_line(error)}",
                hint="define its class, and every function it keeps, at the top level of a module: no lambda, no class"
                " inside a function",
            ) from None

    def load(self, folder: Path) -> torch.nn.Module:
        """Read the module back, on the CPU. Runs code of whoever wrote it."""
        loaded = torch.load(folder / FILE, map_location="cpu", weights_only=False)
        return _plain_module(loaded).eval()

    def export(self, model: torch.nn.Module, request: ExportRequest) -> None:
        """Trace the module in eval mode and write the graph, weights inside.

        Raises:
            SpecError: inputs that torch doesn't know, code that can't be traced, an operator or opset that ONNX lacks.
        """
        module = model.cpu().eval()
        arguments = bind_inputs(module, _tensors(request.sample))
        outputs = name_outputs(_call(module, arguments))
        with _quiet():
            program = trace_module(module, arguments)
            _write(program, request, list(outputs))
        _check_opset(request)

    def predict(self, model: torch.nn.Module, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the module in eval mode on the CPU."""
        module = model.cpu().eval()
        outputs = name_outputs(_call(module, bind_inputs(module, _tensors(inputs))))
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def _plain_module(model: Any) -> torch.nn.Module:
    """The user's own module, without what `torch.compile` and data parallel training put around it."""
    if isinstance(model, (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)):
        model = model.module
    model = getattr(model, "_orig_mod", model)
    if isinstance(model, torch.jit.ScriptModule):
        raise SpecError("a scripted module can't be exported", hint="return the module from before torch.jit")
    if not isinstance(model, torch.nn.Module):
        raise SpecError(
            f"a {type(model).__name__} is no module", hint="return the trained torch.nn.Module itself"
        )
    return model


def _tensors(inputs: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    texts = [name for name, array in inputs.items() if array.dtype.kind in "OUS"]
    if texts:
        raise SpecError(
            f"the columns {', '.join(texts)} hold texts, which a torch module can't take",
            hint="name the other columns in data.<name>.features, or make numbers of them in a step before",
        )
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in inputs.items()}


def _call(module: torch.nn.Module, arguments: Arguments) -> Any:
    with torch.inference_mode():
        return module(*arguments[0], **arguments[1])


def _write(program: torch.export.ExportedProgram, request: ExportRequest, outputs: list[str]) -> None:
    try:
        torch.onnx.export(
            program,
            (),
            str(request.path),
            input_names=list(request.sample),
            output_names=outputs,
            opset_version=request.opset,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        operator = _OPERATOR.search(str(error))
        if operator is None:
            raise SpecError(f"the module can't be written as ONNX: {_cause(error)}") from None
        raise SpecError(
            f"ONNX has nothing for the operator {operator[1]} of the module",
            hint="say it by simpler operators",
        ) from None


def _cause(error: BaseException) -> str:
    """What lies at the bottom: torch wraps it in advice on how to report it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


def _check_opset(request: ExportRequest) -> None:
    if request.opset is None:
        return
    model = onnx.load(str(request.path), load_external_data=False)
    made = next(item.version for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if made != request.opset:
        raise SpecError(
            f"the module needs opset {made}, the spec asks for {request.opset}",
            hint=f"set export.opset to {made}, or leave it out",
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Torch's progress and warnings are about its own insides: away with them while it converts."""
    levels = {name: logging.getLogger(name).level for name in _NOISY}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
