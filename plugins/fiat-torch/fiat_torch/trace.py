"""From a module to a traced program, and what kept it from being traced, in the user's words."""

import inspect
import linecache
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils._sympy.numbers import int_oo

from fiat.errors import SpecError

LEAST_TRACED_ROWS = 2
"""Tracing sees the number of rows as "2 or more"; that one row works as well is for tests to show."""

Arguments = tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]
_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent)


def bind_inputs(module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> Arguments:
    """Inputs as arguments of `forward`: by name when it has parameters of all these names, else in order.

    Raises:
        SpecError: it takes another number of arguments.
    """
    signature = inspect.signature(module.forward)
    named = set(inputs) <= set(signature.parameters)
    arguments: Arguments = ((), dict(inputs)) if named else (tuple(inputs.values()), {})
    try:
        signature.bind(*arguments[0], **arguments[1])
    except TypeError as error:
        raise SpecError(
            f"forward{signature} doesn't take the inputs {', '.join(inputs)}: {error}",
            hint="give it one parameter an input, or name the wanted columns in data.<name>.features",
        ) from None
    return arguments


def trace_module(module: torch.nn.Module, arguments: Arguments) -> torch.export.ExportedProgram:
    """Trace a module with a free first axis of every input.

    Args:
        module: in eval mode, on the CPU.
        arguments: tensors of LEAST_TRACED_ROWS rows or more each.

    Raises:
        SpecError: its code depends on values or on the number of rows, or does what can't be traced.
    """
    positional, named = arguments
    try:
        program = torch.export.export(
            module, positional, named, dynamic_shapes=_free_axes(module, arguments), strict=False
        )
    except GuardOnDataDependentSymNode as error:
        raise SpecError(
            f"forward goes another way for other values, an ONNX graph can't{_place(error)}",
            hint="replace the `if` on a tensor, or the number taken from one, by torch.where, a mask or torch.cond",
        ) from None
    except Exception as error:
        if "specialized it to be a constant" in str(error):
            raise _fixed_rows(_place(error)) from None
        raise SpecError(f"forward can't be traced{_place(error)}: {first_line(error)}") from None
    for bounds in program.range_constraints.values():
        if bounds.lower > LEAST_TRACED_ROWS or bounds.upper != int_oo:
            raise _fixed_rows("")
    return program


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__


def _free_axes(module: torch.nn.Module, arguments: Arguments) -> dict[str, Any]:
    """Parameter name to a free first axis; a tuple of them for `*parameter`."""
    free = {0: torch.export.Dim.DYNAMIC}
    bound = inspect.signature(module.forward).bind(*arguments[0], **arguments[1]).arguments
    return {
        name: tuple(free for _ in value) if isinstance(value, tuple) else free
        for name, value in bound.items()
    }


def _fixed_rows(place: str) -> SpecError:
    return SpecError(
        f"forward works for some numbers of rows only{place}",
        hint="take the number of rows from the input: -1 in reshape, x.shape[0]; no constant, and no `if` on it",
    )


def _place(error: BaseException) -> str:
    """Where the user's own code was, such as ` (net.py:12: if x.sum() > 0:)`; empty when it is not in the trace."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_TORCH, _OURS, "<"))
    ]
    if not frames:
        return ""
    last = frames[-1]
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    return f" ({Path(last.filename).name}:{last.lineno}: {line})"
