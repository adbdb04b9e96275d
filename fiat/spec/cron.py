"""Whether a cron expression of five fields says something. Pure: what it means in time is the engine's.

Source: crontab(5) of Debian; the same rules as the `cronsim` library, which a test compares.
"""

from collections.abc import Sequence

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_LAST = ("L", "LW")
_FIELDS: Sequence[tuple[str, range, Sequence[str]]] = (
    ("minute", range(60), ()),
    ("hour", range(24), ()),
    ("day of the month", range(1, 32), ()),
    ("month", range(1, 13), _MONTHS),
    ("day of the week", range(8), _DAYS),
)


def cron_fault(text: str) -> str:
    """What is wrong with an expression, one sentence without a full stop; empty when it is fine.

    Args:
        text: five fields with a space between them.
    """
    parts = text.upper().split()
    if len(parts) != len(_FIELDS):
        return f"expected five fields, found {len(parts)}"
    found: list[set[int]] = []
    for part, (name, numbers, words) in zip(parts, _FIELDS, strict=True):
        try:
            found.append(_field(part, name, numbers, words))
        except ValueError:
            first, last = numbers[0], numbers[-1]
            return f"`{part.lower()}` is no {name}: expected {first} to {last}, `*`, `a-b`, `*/n` or a list of them"
    days, months = found[2], found[3]
    both = parts[2].startswith("*") or parts[4].startswith("*")
    if both and days and min(days) > max(_MONTH_DAYS[month - 1] for month in months):
        return f"no such month has a day {min(days)}"
    return ""


def _field(part: str, name: str, numbers: range, words: Sequence[str]) -> set[int]:
    """Numbers that a field means; `L` (the last day) and `5L` (the last Friday) are any and give none.

    Raises:
        ValueError: it means nothing.
    """
    found: set[int] = set()
    terms = part.split(",")
    special = [term for term in terms if _is_last(term, name, numbers)]
    for term in terms:
        if term not in special:
            found |= _term(term, numbers, words)
    return set() if special else found


def _is_last(term: str, name: str, numbers: range) -> bool:
    base, slash, step = term.partition("/")
    if name == "day of the month":
        return base in _LAST and (not slash or _number(step) > 0)
    if name == "day of the week" and term.endswith("L") and term != "L":
        return _number(term[:-1]) in numbers
    return False


def _term(term: str, numbers: range, words: Sequence[str]) -> set[int]:
    base, slash, step = term.partition("/")
    if slash and _number(step) < 1:
        raise ValueError(term)
    if base == "*":
        chosen = list(numbers)
    elif "-" in base:
        first, last = (_value(side, numbers, words) for side in base.split("-", maxsplit=1))
        if last < first:
            raise ValueError(term)
        chosen = list(range(first, last + 1))
    else:
        first = _value(base, numbers, words)
        chosen = list(range(first, numbers[-1] + 1)) if slash else [first]
    return set(chosen[:: _number(step)] if slash else chosen)


def _value(text: str, numbers: range, words: Sequence[str]) -> int:
    value = words.index(text) + numbers[0] if text in words else _number(text)
    if value not in numbers:
        raise ValueError(text)
    return value


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal():
        raise ValueError(text)
    return int(text)
