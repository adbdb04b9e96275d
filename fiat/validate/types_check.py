"""Does a column hold what its type says? Every direction between two types."""

from fiat.validate.bools_check import check_bool
from fiat.validate.model import Anomaly
from fiat.validate.row_masks import fractional, no_number, no_utf8, present
from fiat.validate.subject import Subject, counted

_SINGLE = ("int", "float", "bool", "text", "bytes", "time")
_NAMES = {
    "int": "whole numbers",
    "float": "numbers",
    "bool": "bools",
    "text": "texts",
    "bytes": "bytes",
    "time": "dates or times",
    "list": "lists",
    "tensor": "tensors",
    "image": "pictures",
}
_TEXTS = ("string", "large_string", "string_view")


def check_type(subject: Subject) -> tuple[tuple[Anomaly, ...], bool]:
    """What is wrong with a column's type.

    A whole number is a number; a bool may be written as 0 and 1 or as two texts; a list of a fixed number of values may
    be stored as a tensor; bytes may hold pictures, and pixels are tensors.

    Returns:
        the anomalies, and whether its values can be checked against the rest of the schema.
    """
    asked, found = subject.asked.type, subject.found.kind
    if asked is None or found == "empty":
        return (), True
    if asked == "list" and found == "list" and subject.found.dtype.count("list<") > 1:
        message = f"expected lists of values, found lists of lists ({subject.found.dtype})"
        return (whole_column(subject, "nested_values", message),), False
    if asked == "text" and found in ("text", "bytes") and subject.found.n_invalid_utf8:
        return (_no_utf8(subject),), False
    if _fits(subject):
        return (), True
    if found == "list" and asked in _SINGLE:
        message = f"expected {_NAMES[asked]}, found a list in each row"
        return (whole_column(subject, "unexpected_repeated", message),), False
    if asked == "bool":
        return check_bool(subject, _NAMES[found])
    if asked == "int" and found == "float":
        return (_fractions(subject),), False
    if found == "text" and asked in ("int", "float") and _is_text(subject):
        return (_unparsable(subject, whole=asked == "int"),), False
    if asked == "text":
        kind = {"int": "text_now_int", "float": "text_now_float"}.get(found, "not_text")
        return (_other(subject, kind),), False
    return (_other(subject, f"not_{asked}"),), False


def _fits(subject: Subject) -> bool:
    asked, found, shape = subject.asked.type, subject.found.kind, subject.found.shape
    if asked == found:
        return asked != "text" or _is_text(subject)
    if asked == "list":
        return found == "tensor" and shape is not None and len(shape) == 1
    if asked == "tensor":
        return (found == "image" and shape is not None) or (
            found == "list" and subject.asked.shape is not None
        )
    if asked == "image":
        return found == "bytes" and subject.asked.image is not None
    if asked == "bytes":
        return found == "image" and shape is None
    return (asked, found) == ("float", "int")


def _is_text(subject: Subject) -> bool:
    """Whether it is text, and no structure that a profile tells as the text of its JSON."""
    kind = subject.found.dtype.removeprefix("dictionary<values=")
    return kind.split(",")[0] in _TEXTS


def _fractions(subject: Subject) -> Anomaly:
    seen = subject.rows(fractional)
    if not seen.n_rows:
        return _other(subject, "not_int")
    message = f"{seen.words('holds a fraction', 'hold fractions')}, expected whole numbers"
    return subject.anomaly("not_int", message, field="type", seen=seen)


def _unparsable(subject: Subject, *, whole: bool) -> Anomaly:
    name = "whole numbers" if whole else "numbers"
    if not whole and subject.found.share_numeric >= 1:
        return whole_column(subject, "not_float", "expected numbers, found them written as texts")
    seen = subject.rows(no_number(whole=whole))
    if seen.n_rows == 0:
        return whole_column(
            subject, f"not_{subject.asked.type}", f"expected {name}, found them written as texts"
        )
    about = seen.words("is", "are") + (" no whole number" if whole else " no number")
    kind = "unparsable_int" if whole else "unparsable_float"
    return subject.anomaly(kind, f"{about}, expected {name}", field="type", seen=seen)


def _no_utf8(subject: Subject) -> Anomaly:
    n_rows = subject.found.n_invalid_utf8
    message = f"{counted(n_rows, 'is', 'are')} no UTF-8, expected texts"
    seen = subject.rows(no_utf8())
    return subject.anomaly("invalid_utf8", message, field="type", seen=seen, n_rows=n_rows)


def _other(subject: Subject, kind: str) -> Anomaly:
    asked = _NAMES[str(subject.asked.type)]
    found = "" if subject.found.kind == "text" and not _is_text(subject) else _NAMES[subject.found.kind] + " "
    message = (
        f"expected {asked}, found {found}({subject.found.dtype})"
        if found
        else (f"expected {asked}, found {subject.found.dtype}")
    )
    return whole_column(subject, kind, message)


def whole_column(subject: Subject, kind: str, message: str) -> Anomaly:
    """An anomaly of a whole column: every row with a value shows it."""
    return subject.anomaly(kind, message, field="type", seen=subject.rows(present), n_rows=subject.n_present)
