"""A guess at what a faulty spec meant, only so that faults between its sections are told in the same breath."""

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from fiat.spec.language import keys_of, nearest, section_at
from fiat.spec.model import Spec

_HARMLESS = frozenset(
    (
        "int_type",
        "float_type",
        "bool_type",
        "int_from_float",
        "literal_error",
        "finite_number",
        "greater_than_equal",
        "greater_than",
        "less_than_equal",
        "less_than",
    )
)


def repair(config: Mapping[str, object], error: ValidationError) -> Spec | None:
    """The spec with unknown keys spelled right or left out, and single bad values left at their defaults.

    Args:
        config: what was refused; it is not changed.
        error: why.

    Returns:
        A spec to look for further faults in, never to run; None when the faults go deeper.
    """
    patched = copy.deepcopy(dict(config))
    for detail in error.errors(include_url=False):
        *above, key = detail["loc"]
        holder: Any = patched
        for part in above:
            holder = _below(holder, part)
        if not isinstance(holder, dict) or key not in holder:
            return None
        if detail["type"] == "extra_forbidden":
            section = section_at(tuple(above))
            close = nearest(str(key), keys_of(section)) if section is not None else ""
            value = holder.pop(key)
            if close:
                holder.setdefault(close, value)
        elif detail["type"] in _HARMLESS:
            del holder[key]
        else:
            return None
    try:
        return Spec.model_validate(patched)
    except ValidationError:
        return None


def _below(holder: Any, part: str | int) -> Any:
    if isinstance(holder, list):
        return holder[part] if isinstance(part, int) and part < len(holder) else None
    return holder.get(part) if isinstance(holder, dict) else None
