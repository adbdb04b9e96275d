"""Command lines of `run:`: their `{step.output}` placeholders, and filling them in."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_BRACE = re.compile(r"\{\{|\}\}|\{[^{}]*\}|\{|\}")
_INSIDE = re.compile(r"([a-z0-9][a-z0-9_-]{0,63})\.([a-z0-9][a-z0-9_-]{0,63})")


@dataclass(frozen=True)
class Placeholder:
    """A `{step.output}` in a command.

    Attributes:
        step: `data`, `out`, `train`, or the name of a user's step.
        output: name of a dataset or output.
    """

    step: str
    output: str

    def __str__(self) -> str:
        return f"{self.step}.{self.output}"


class CommandError(ValueError):
    """A brace that is no placeholder; the message says which."""


def references(run: str) -> list[Placeholder]:
    """Placeholders of a command, each once, in the order of their first use.

    Raises:
        CommandError: a brace that is neither `{name.output}` nor doubled.
    """
    found: dict[Placeholder, None] = {}
    for match in _BRACE.finditer(run):
        placeholder = _read(match[0])
        if placeholder is not None:
            found[placeholder] = None
    return list(found)


def whole_reference(value: object) -> Placeholder | None:
    """The output that a value of `with:` names when it is one `{step.output}` from end to end, else None."""
    if not isinstance(value, str) or not value.startswith("{") or not value.endswith("}"):
        return None
    match = _INSIDE.fullmatch(value[1:-1].strip())
    return Placeholder(match[1], match[2]) if match else None


def fill(run: str, paths: Mapping[str, str]) -> str:
    """The command with paths in place of its placeholders, and single braces in place of doubled ones.

    Args:
        run: the command.
        paths: `step.output` to what stands there, quoted for the shell already.

    Raises:
        CommandError: a brace that is no placeholder.
        KeyError: a placeholder that `paths` lacks.
    """

    def replace(match: re.Match[str]) -> str:
        placeholder = _read(match[0])
        return match[0][0] if placeholder is None else paths[str(placeholder)]

    return _BRACE.sub(replace, run)


def _read(text: str) -> Placeholder | None:
    """The placeholder, or None for a doubled brace."""
    if text in ("{{", "}}"):
        return None
    match = _INSIDE.fullmatch(text[1:-1].strip()) if len(text) > 2 else None
    if match is None:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise CommandError(f"`{shown}` is no placeholder such as {{data.images}}")
    return Placeholder(match[1], match[2])
