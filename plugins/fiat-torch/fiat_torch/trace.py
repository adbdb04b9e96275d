"""From a module to a traced program, and what kept it from being traced, in the user's words."""

import linecache
import traceback
from pathlib import Path
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from fiat.errors import SpecError

Arguments = tuple[tuple[torch.Tensor, ...], dict[str, torch.Tensor]]
_INSIDE = tuple(str(Path(str(module.__file__)).parent) for module in (torch, traceback))


def trace_module(module: torch.nn.Module, arguments: Arguments) -> torch.export.ExportedProgram:
    """Trace a module with a free first axis of every input.

    Args:
        module: in eval mode, on the CPU.
        arguments: positional and named tensors, n_rows 2 or more each.

    Raises:
        SpecError: its code depends on values or on the number of rows, or does what can't be traced.
    """
    positional, named = arguments
    free = {0: torch.export.Dim.DYNAMIC}
    shapes = (tuple(free for _ in positional), {name: free for name in named})
    try:
        program = torch.export.export(
            module, positional, named or None, dynamic_shapes=_by_parameter(module, *shapes), strict=False
        )
    except GuardOnDataDependentSymNode as error:
        place = _place(error)
        raise SpecError(
            f"forward takes another way for other values{place}: ONNX graphs have one way",
            hint="replace the `if` or the number taken from a tensor by torch.where, a mask or torch.cond",
        ) from None
    except Exception as error:
        if "as dynamic but your code specialized it to be a constant" in str(error):
            raise _fixed_rows(_place(error)) from None
        raise SpecError(f"forward can't be traced{_place(error)}: {first_line(error)}") from None
    for bounds in program.range_constraints.values():
        if int(bounds.lower) > 2 or bounds.upper < torch.iinfo(torch.int32).max:
            raise _fixed_rows("")
    return program


def _by_parameter(module: torch.nn.Module, positional: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return named or positional


def _fixed_rows(place: str) -> SpecError:
    return SpecError(
        f"forward works for some numbers of rows only{place}",
        hint="take the number of rows from the input: x.shape[0] or -1 in reshape, never a constant or an `if` on it",
    )


def _place(error: BaseException) -> str:
    """Where the user's own code was, such as ` (net.py:12: if x.sum() > 0:)`."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*_INSIDE, "<")) and Path(frame.filename).parent != Path(__file__).parent
    ]
    if not frames:
        return ""
    last = frames[-1]
    line = linecache.getline(last.filename, last.lineno or 0).strip()
    return f" ({Path(last.filename).name}:{last.lineno}: {line})"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
