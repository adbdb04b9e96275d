"""Which section of the language a key path leads to, read off the models, so that no list repeats them."""

import difflib
from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from fiat.spec.model import Spec
from fiat.spec.tree import KeyPath


def section_at(path: KeyPath, top: type[BaseModel] = Spec) -> type[BaseModel] | None:
    """The model whose fields are the keys at this path; None where keys are free or the path is unknown.

    Args:
        path: of the section.
        top: the language that the path belongs to.
    """
    found = _type_at(path, top)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def keys_of(section: type[BaseModel]) -> list[str]:
    """The keys of a section as they are written."""
    return [field.alias or name for name, field in section.model_fields.items()]


def is_free(path: KeyPath) -> bool:
    """Whether values at this path are the user's own, such as those under `params` and `with`."""
    return bool(path) and (path[0] == "params" or "with" in path)


def nearest(word: str, words: Iterable[str]) -> str:
    """The nearest right spelling, or nothing when none is near."""
    options = list(words)
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    if close:
        return close[0]
    folded = {option.casefold().replace("-", "_"): option for option in options}
    return folded.get(word.casefold().replace("-", "_"), "")


def _type_at(path: KeyPath, top: type[BaseModel]) -> Any:
    current: Any = top
    for part in path:
        current = _step_into(current, part)
        if current is None:
            return None
    return _without_none(current)


def _step_into(current: Any, part: str | int) -> Any:
    current = _without_none(current)
    if isinstance(current, type) and issubclass(current, BaseModel):
        for name, field in current.model_fields.items():
            if (field.alias or name) == part:
                return field.annotation
        return None
    if get_origin(current) is dict:
        return get_args(current)[1]
    if get_origin(current) is tuple and str(part).isdigit():
        return get_args(current)[0]
    return None


def _without_none(current: Any) -> Any:
    """What stands behind `Annotated[...]` and `... | None`."""
    while True:
        if hasattr(current, "__metadata__"):
            current = get_args(current)[0]
            continue
        choices = [choice for choice in get_args(current) if choice is not type(None)]
        if type(None) in get_args(current) and len(choices) == 1:
            current = choices[0]
            continue
        return current
