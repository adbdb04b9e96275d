"""What a plain scalar of YAML means: the core schema of YAML 1.2, and nothing of YAML 1.1.

So `on`, `yes` and `no` are text, `1e-3` is a number, and `1:30` is text.
"""

import math
import re

Scalar = None | bool | int | float | str

MAX_NUMBER_CHARS = 64
_WORDS: dict[str, Scalar] = {
    "null": None,
    "~": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)")
_NOT_A_NUMBER = (".nan", ".NaN", ".NAN")
_NUMBER_STARTS = frozenset("+-.0123456789")
_INT64 = range(-(2**63), 2**63)


def resolve_plain(text: str) -> Scalar:
    """The value of a scalar that was written without quotes.

    Source: YAML 1.2.2, section 10.3.2 (core schema), with `null` spelled only `null` or `~`.

    Raises:
        ValueError: a number that 64 bits can't hold; the message says so.
    """
    if not text or text[0] not in _NUMBER_STARTS:
        return _WORDS.get(text, text)
    whole = _DECIMAL.fullmatch(text)
    based = None if whole else _BASED.fullmatch(text)
    if whole or based or _FLOAT.fullmatch(text):
        if len(text) > MAX_NUMBER_CHARS:
            raise ValueError(f"a number of {len(text)} characters, at most {MAX_NUMBER_CHARS} are read")
        return _whole(text) if whole or based else _real(text)
    if _INFINITE.fullmatch(text):
        return -math.inf if text[0] == "-" else math.inf
    return math.nan if text in _NOT_A_NUMBER else text


def _whole(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    number = int(text if base == 10 else text[2:], base)
    if number not in _INT64:
        raise ValueError(f"the number {text} does not fit in 64 bits")
    return number


def _real(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"the number {text} does not fit in 64 bits")
    return number
