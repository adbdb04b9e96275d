"""What all sections of the language share: the strict base model and the words that values are made of."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, Strict
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
CALL_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$"
DURATION_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h|d)$"
SIZE_PATTERN = r"^[0-9]{1,9}(\.[0-9]{1,3})?(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$"
VARIABLE_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
METRIC_PATTERN = r"^[A-Za-z_][A-Za-z0-9_./@-]{0,199}$"
FILE_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$"
SHA256_PATTERN = r"^[0-9a-f]{64}$"
COMMIT_PATTERN = r"^[0-9a-f]{7,64}$"
REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9][a-z0-9_-]{0,63}$"
CRON_PATTERN = r"^[0-9A-Za-z*/,-]+( [0-9A-Za-z*/,-]+){4}$"

EXPECTED: Mapping[str, str] = {
    NAME_PATTERN: "a name of a-z, 0-9, _ and - that starts with a letter or digit, 64 at most",
    CALL_PATTERN: "a function as `package.module:function`",
    DURATION_PATTERN: "a duration such as `90s`, `10m`, `2h` or `30d`",
    SIZE_PATTERN: "a size such as `400MiB`, `8GiB` or `20MB`",
    VARIABLE_PATTERN: "the name of an environment variable, such as `HUB_TOKEN`",
    METRIC_PATTERN: "a metric's name: letters, digits and _ . / @ -, starting with a letter",
    FILE_PATTERN: "the name of a file below the URL, such as `train.csv`",
    SHA256_PATTERN: "a SHA-256 digest of 64 lower-case hex digits",
    COMMIT_PATTERN: "a commit of 7 to 64 lower-case hex digits",
    REFERENCE_PATTERN: "an output as `data.<name>` or `<step>.<output>`",
    CRON_PATTERN: "a schedule of five fields such as `0 3 * * 1`",
}

Text = Annotated[str, Field(min_length=1, max_length=65536)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Call = Annotated[str, Field(pattern=CALL_PATTERN)]
Duration = Annotated[str, Field(pattern=DURATION_PATTERN)]
Size = Annotated[str, Field(pattern=SIZE_PATTERN)]
Variable = Annotated[str, Field(pattern=VARIABLE_PATTERN)]
MetricName = Annotated[str, Field(pattern=METRIC_PATTERN)]
Sha256 = Annotated[str, Field(pattern=SHA256_PATTERN)]
FileName = Annotated[str, Field(pattern=FILE_PATTERN)]
CommitHash = Annotated[str, Field(pattern=COMMIT_PATTERN)]
Reference = Annotated[str, Field(pattern=REFERENCE_PATTERN)]
Cron = Annotated[str, Field(pattern=CRON_PATTERN)]
Flag = Annotated[bool, Strict()]
Integer = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=0)]
Whole = Annotated[int, Strict(), Field(ge=1)]
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Amount = Annotated[float, Strict(), Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Strict(), Field(ge=0, le=1, allow_inf_nan=False)]
Severity = Literal["error", "warn"]
Free = dict[str, JsonValue]

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Mapping[str, int] = {
    unit: 1000**power for power, unit in enumerate(("B", "KB", "MB", "GB", "TB"))
} | {unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), start=1)}
_QUANTITY = re.compile(r"([0-9.]+)([A-Za-z]+)")


def duration_s(text: str) -> float:
    """Seconds of a duration such as `2h`.

    Raises:
        ValueError: the text is no duration.
    """
    if not re.match(DURATION_PATTERN, text) or not (match := _QUANTITY.fullmatch(text)):
        raise ValueError(f"{text!r} is not {EXPECTED[DURATION_PATTERN]}")
    return float(match[1]) * _SECONDS[match[2]]


def size_bytes(text: str) -> int:
    """Bytes of a size such as `8GiB` (powers of 1024) or `20MB` (powers of 1000).

    Raises:
        ValueError: the text is no size.
    """
    if not re.match(SIZE_PATTERN, text) or not (match := _QUANTITY.fullmatch(text)):
        raise ValueError(f"{text!r} is not {EXPECTED[SIZE_PATTERN]}")
    return round(float(match[1]) * _BYTES[match[2]])


class Section(BaseModel):
    """A mapping of the language: unknown keys are errors and nothing changes after loading."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


def fault(message: str, *, key: str = "", hint: str = "") -> PydanticCustomError:
    """An error of a whole section, for its validators to raise.

    Args:
        message: what is wrong, one sentence without a full stop.
        key: the key within the section that it is about; empty for the section.
        hint: what to do next.
    """
    context: dict[str, Any] = {"message": message, "key": key, "hint": hint}
    return PydanticCustomError("fiat", "{message}", context)


def chosen(section: BaseModel, kinds: tuple[str, ...]) -> list[str]:
    """Which of these keys the section gives a value, in their order."""
    return [kind for kind in kinds if getattr(section, kind) is not None]


def require_one(section: BaseModel, kinds: tuple[str, ...], what: str) -> str:
    """The one key of `kinds` that the section gives.

    Raises:
        PydanticCustomError: it gives none of them, or more than one.
    """
    found = chosen(section, kinds)
    names = ", ".join(f"`{kind.rstrip('_')}`" for kind in kinds)
    if not found:
        raise fault(f"{what} needs one of {names}")
    if len(found) > 1:
        both = " and ".join(f"`{kind.rstrip('_')}`" for kind in found)
        raise fault(f"{what} takes only one of {names}, not {both}", key=found[1].rstrip("_"))
    return found[0]
