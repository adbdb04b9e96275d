"""Fill in a template of Jinja, in a sandbox; as a program it does so for a template that nobody vouches for.

`python -m fiat.model.card_fill` reads `{"text", "names"}` from its input and writes `{"card"}` or `{"error", "line"}`.
"""

import json
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MOST_CARD_BYTES = 1 << 20


class BadTemplate(Exception):
    """A template that can't be filled in.

    Attributes:
        reason: one sentence.
        line: of the template, 0 when unknown.
    """

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason, line)
        self.reason = reason
        self.line = line


def fill(text: str, names: Mapping[str, Any]) -> str:
    """Fill in a template; a name that there is not is an error.

    Args:
        text: the template. Beside Jinja's own filters there are `number` (four digits) and `shape` (`n` for any size).
        names: what it may name.

    Raises:
        BadTemplate: it is no template, names what there is not, reaches for what it must not, or makes over 1 MiB.
    """
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.filters |= {"number": _number, "shape": _shape}
    found: list[str] = []
    size_bytes = 0
    try:
        for piece in environment.from_string(text).generate(names):
            size_bytes += len(piece.encode())
            if size_bytes > MOST_CARD_BYTES:
                raise BadTemplate(f"it makes more than {MOST_CARD_BYTES >> 20} MiB", 0)
            found.append(piece)
    except TemplateSyntaxError as error:
        raise BadTemplate(error.message or "it is no template", error.lineno) from None
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise BadTemplate(str(error), _line(error)) from None
    except (RecursionError, MemoryError):
        raise BadTemplate("it needs too much memory", 0) from None
    return "".join(found).rstrip("\n") + "\n"


def main() -> None:
    """Serve one request."""
    request = json.load(sys.stdin)
    try:
        answer: dict[str, object] = {"card": fill(request["text"], request["names"])}
    except BadTemplate as error:
        answer = {"error": error.reason, "line": error.line}
    json.dump(answer, sys.stdout)


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _shape(shape: list[int | None]) -> str:
    return "(" + ", ".join("n" if size is None else str(size) for size in shape) + ")"


def _line(error: BaseException) -> int:
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == "<template>"]
    return (lines[-1] if lines else 0) or 0


if __name__ == "__main__":
    main()
