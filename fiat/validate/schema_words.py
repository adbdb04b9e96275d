"""The words of a schema: its keys, what each type can be asked, what plain YAML text is taken for, patterns."""

import difflib
import re
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from fiat.validate.model import ColumnType, Metric

TOP_KEYS = ("fiat_schema", "label", "rows", "environments", "columns")
COLUMN_KEYS = (
    "type",
    "required",
    "present",
    "values",
    "mass",
    "range",
    "regex",
    "length",
    "per_row",
    "shape",
    "unique",
    "distinct",
    "nan",
    "inf",
    "image",
    "environments",
    "not_in",
    "drift",
    "skew",
    "severity",
    "description",
)
IMAGE_KEYS = ("formats", "supported", "width", "height", "max_bytes")

TYPES: tuple[ColumnType, ...] = ("int", "float", "bool", "text", "bytes", "time", "list", "tensor", "image")
METRICS: tuple[Metric, ...] = ("js", "linf", "psi", "ks", "wasserstein")
METRICS_TO_ONE = ("js", "linf", "ks")
NUMBER_METRICS = ("ks", "wasserstein")
IMAGE_FORMATS = ("png", "jpeg", "gif", "bmp", "webp", "pgm", "ppm", "raw")

OTHER_NAMES: Mapping[str, str] = {
    "string": "text",
    "str": "text",
    "category": "text",
    "categorical": "text",
    "integer": "int",
    "int32": "int",
    "int64": "int",
    "number": "float",
    "double": "float",
    "float32": "float",
    "float64": "float",
    "real": "float",
    "boolean": "bool",
    "binary": "bytes",
    "date": "time",
    "datetime": "time",
    "timestamp": "time",
    "array": "list",
    "minimum": "min",
    "maximum": "max",
    "domain": "values",
    "enum": "values",
    "pattern": "regex",
    "nullable": "present",
    "presence": "present",
    "warning": "warn",
    "fail": "error",
    "jpg": "jpeg",
    "kolmogorov_smirnov": "ks",
    "jensen_shannon": "js",
    "l_infinity": "linf",
    "infinity_norm": "linf",
}

ASKED_OF: Mapping[str, tuple[ColumnType, ...]] = {
    "values": ("text", "int", "bool", "list"),
    "range": ("int", "float", "time", "list", "tensor"),
    "regex": ("text",),
    "length": ("text", "bytes"),
    "per_row": ("list",),
    "shape": ("tensor", "image"),
    "nan": ("float", "list", "tensor"),
    "inf": ("float", "list", "tensor"),
    "image": ("image",),
}
"""Which types a key can be asked of; a key that is not here can be asked of all."""

NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
WHOLE = re.compile(r"[-+]?[0-9]+")
MOST_REGEX_CHARS = 1000

_FLAGS = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n"))
_NOTHINGS = frozenset(("", "null", "~"))
_OTHER_NUMBER = re.compile(
    r"[-+]?0x[0-9a-fA-F_]+|[-+]?0o?[0-7_]+|[-+]?0b[01_]+|[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?")


def taken_for(text: str) -> str:
    """What a reader of YAML may take text without quotes for; empty for text.

    Source: YAML 1.1 (types bool, null, int, float, timestamp) and the core schema of YAML 1.2: both are in use.
    """
    if text.lower() in _NOTHINGS:
        return "nothing"
    if text.lower() in _FLAGS:
        return "true or false"
    if _DATE.fullmatch(text):
        return "a date"
    if NUMBER.fullmatch(text) or _OTHER_NUMBER.fullmatch(text):
        return "a number"
    return ""


def nearest(word: str, words: Iterable[str]) -> str:
    """The nearest right spelling, or nothing when none is near."""
    options = list(words)
    lowered = word.casefold().replace("-", "_").replace(" ", "_")
    if lowered in options:
        return lowered
    if OTHER_NAMES.get(lowered) in options:
        return OTHER_NAMES[lowered]
    close = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    return close[0] if close else ""


def choices(words: Iterable[str]) -> str:
    """Words as a sentence lists them."""
    options = [f"`{word}`" for word in words]
    return options[0] if len(options) == 1 else f"{', '.join(options[:-1])} or {options[-1]}"


def shown(text: str) -> str:
    """Text of a file as an error quotes it: short, on one line."""
    flat = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text[:61])
    return f"`{flat if len(flat) <= 60 else flat[:57] + '...'}`"


def whole_pattern(regex: str) -> str:
    """The pattern that Arrow and DuckDB are given, so that it must match a whole text."""
    return rf"\A(?:{regex})\z"


def regex_fault(regex: str) -> str:
    """Why a pattern can't be used; empty when it can.

    Patterns are RE2's, whose time is linear in the text whatever the pattern: a schema may come from a stranger.

    Source: https://github.com/google/re2/wiki/Syntax (no backreferences, no look-around).
    """
    if len(regex) > MOST_REGEX_CHARS:
        return f"it has {len(regex):,} characters, at most {MOST_REGEX_CHARS:,} are read"
    # Alone as well: `a)(b` would slip through the brackets put around it.
    for pattern in (regex, whole_pattern(regex)):
        try:
            pc.match_substring_regex(pa.array([""]), pattern)
        except (pa.ArrowInvalid, UnicodeEncodeError) as error:
            return str(error).removeprefix("Invalid regular expression: ").strip() or "it does not compile"
    return ""


def matching(values: Iterable[str], regex: str) -> list[bool]:
    """Which texts a pattern matches as a whole."""
    found = pc.match_substring_regex(pa.array(list(values), pa.string()), whole_pattern(regex))
    return [bool(item) for item in found.to_pylist()]
