"""PyTorch models to ONNX by `torch.export`."""

import contextlib
import io
import logging
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fiat.errors import SpecError
from fiat.ports.exporter import ExportRequest

SINGLE_OUTPUT = "scores"


class TorchExporter:
    """Takes a `torch.nn.Module` whose `forward` takes the dataset's inputs in order and gives tensors.

    A single output is called `scores`; several are called `output_0`, `output_1`, ... or by the keys of the mapping
    that `forward` gives.
    """

    name = "torch"
    version = "1"
    frameworks = ("torch",)
    packages = ("torch", "onnx", "onnxscript")

    def save(self, model: torch.nn.Module, folder: Path) -> None:
        """Write the whole module to `model.pt`, on the CPU.

        Raises:
            SpecError: its class can't be found again by name.
        """
        try:
            torch.save(model.cpu().eval(), folder / "model.pt")
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise SpecError(
                f"the trained module can't be saved: {error}",
                hint="define its class at the top of a module; no lambdas or local classes inside",
            ) from error

    def load(self, folder: Path) -> torch.nn.Module:
        """Read what `save` wrote; this runs the user's code, so only in the user's own process."""
        model = torch.load(folder / "model.pt", map_location="cpu", weights_only=False)
        if not isinstance(model, torch.nn.Module):
            raise SpecError("model.pt holds no torch module")
        return model.eval()

    def export(self, model: torch.nn.Module, request: ExportRequest) -> None:
        """Trace with `torch.export`, first axis free, everything in one file.

        Raises:
            SpecError: `forward` does something that a graph can't say.
        """
        tensors = tuple(_tensor(array) for array in request.sample.values())
        batch = torch.export.Dim("batch", min=1)
        names = list(_named(self._run(model, tensors)))
        try:
            with _quiet(), torch.no_grad():
                program = torch.onnx.export(
                    model,
                    tensors,
                    dynamo=True,
                    input_names=list(request.sample),
                    output_names=names,
                    dynamic_shapes=_free_first_axis(model, tensors, batch),
                    opset_version=request.opset,
                    external_data=False,
                    verbose=False,
                )
        except Exception as error:
            raise SpecError(
                f"torch can't export the model: {_root_cause(error)}",
                hint="no control flow on tensor values in forward, and no fixed batch size",
            ) from error
        if program is None:
            raise SpecError("torch exported nothing")
        program.save(str(request.path), external_data=False)

    def predict(self, model: torch.nn.Module, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        """Run the module in evaluation mode on the CPU."""
        outputs = self._run(model, tuple(_tensor(array) for array in inputs.values()))
        return {name: tensor.detach().cpu().numpy() for name, tensor in _named(outputs).items()}

    def _run(self, model: torch.nn.Module, tensors: tuple[torch.Tensor, ...]) -> Any:
        with torch.no_grad():
            return model.eval()(*tensors)


def _tensor(array: np.ndarray) -> torch.Tensor:
    if array.dtype.kind in "OUS":
        raise SpecError(
            "a torch model can't take columns of text", hint="leave text columns out with data.<name>.features"
        )
    return torch.from_numpy(np.array(array))


def _named(outputs: Any) -> dict[str, torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        return {SINGLE_OUTPUT: outputs}
    if isinstance(outputs, Mapping):
        return {str(name): tensor for name, tensor in outputs.items()}
    if isinstance(outputs, (tuple, list)) and all(isinstance(item, torch.Tensor) for item in outputs):
        return {f"output_{index}": tensor for index, tensor in enumerate(outputs)}
    raise SpecError(f"forward gives a {type(outputs).__name__}", hint="give a tensor, a tuple or a dict of tensors")


def _free_first_axis(model: torch.nn.Module, tensors: tuple[torch.Tensor, ...], batch: Any) -> Any:
    return tuple({0: batch} if tensor.dim() else None for tensor in tensors)


@contextlib.contextmanager
def _quiet() -> Any:
    """Torch tells its progress on standard output and warns of its own future."""
    level = logging.getLogger("torch").level
    logging.getLogger("torch").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger("torch").setLevel(level)


def _root_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"
