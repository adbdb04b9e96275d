"""Names for what a module returns, the same in the graph and in its own predictions."""

from collections.abc import Mapping
from typing import Any

import torch

from fiat.errors import SpecError

SINGLE = "output"
_DTYPES = frozenset(
    {
        *(torch.float16, torch.float32, torch.float64, torch.bool),
        *(torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64),
    }
)


def name_outputs(returned: Any) -> dict[str, torch.Tensor]:
    """The tensors that `forward` returned, by name.

    A mapping and a named tuple name their tensors themselves; a single tensor is `output`, those of a tuple or a list
    are `output_0`, `output_1`, ...

    Raises:
        SpecError: something else than tensors was returned, or tensors inside of tensors' containers.
    """
    if isinstance(returned, torch.Tensor):
        found: dict[str, Any] = {SINGLE: returned}
    elif isinstance(returned, Mapping):
        found = {str(name): item for name, item in returned.items()}
    elif isinstance(returned, tuple) and hasattr(returned, "_fields"):
        found = dict(zip(returned._fields, returned, strict=True))
    elif isinstance(returned, (tuple, list)):
        found = {f"{SINGLE}_{index}": item for index, item in enumerate(returned)}
    else:
        raise SpecError(
            f"forward returned {_kind(returned)}", hint="return a tensor, or a tuple or dict of tensors"
        )
    for name, item in found.items():
        if not isinstance(item, torch.Tensor):
            raise SpecError(
                f"forward returned {_kind(item)} as {name}",
                hint="return tensors only, none inside another container",
            )
        if item.dtype not in _DTYPES:
            raise SpecError(
                f"forward returned {name} as {item.dtype}", hint="convert it in forward, such as by .float()"
            )
    if not found:
        raise SpecError("forward returned nothing", hint="return a tensor")
    return found


def _kind(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
