"""Data that arrives in spans: files or folders whose paths say a date or a number, and which of them to use.

A pattern is a path with `{YYYY}`, `{MM}`, `{DD}` and `{HH}` (as far down as wanted), or with `{SPAN}` for a number; beside
them `*` and `?` stand for anything within a name. Numbers may be padded with zeros or not. A placeholder that stands twice
says the same twice: `data/{YYYY}/{YYYY}-{MM}-{DD}.csv`.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from fiat.errors import SpecError

_DATE = ("YYYY", "MM", "DD", "HH")
_DIGITS = {"YYYY": r"\d{4}", "MM": r"\d{1,2}", "DD": r"\d{1,2}", "HH": r"\d{1,2}", "SPAN": r"\d+"}
_GLOBS = {"YYYY": "[0-9][0-9][0-9][0-9]"}
_TOKEN = re.compile(r"\{([^{}]*)\}|(\*\*/)|(\*)|(\?)")


@dataclass(frozen=True)
class Use:
    """Which spans to use; one of them.

    Attributes:
        last: so many of the newest; 1 for the latest. What lies between them need not be there.
        span: this one, such as `2024-05-01` or `7`.
    """

    last: int | None = None
    span: str | None = None


@dataclass(frozen=True, order=True)
class Span:
    """A span that is there.

    Attributes:
        key: its numbers; later spans are greater.
        label: for people, such as `2024-05-01`, `2024-05-01T03` or `7`.
        paths: paths that belong to it.
    """

    key: tuple[int, ...]
    label: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class SpanPattern:
    """A pattern, understood.

    Attributes:
        text: as written.
        fields: its placeholders, from the year down, or `("SPAN",)`.
    """

    text: str
    fields: tuple[str, ...]
    _regex: re.Pattern[str]

    def glob(self) -> str:
        """A pattern for all files of all spans, and for some that are none."""
        return _TOKEN.sub(
            lambda match: _GLOBS.get(match[1], "[0-9]*") if match[1] is not None else match[0], self.text
        )

    def spans(self, paths: Iterable[str]) -> tuple[list[Span], list[str]]:
        """Sort paths into spans, oldest first.

        Returns:
            The spans, and the paths that fit but say a date that no calendar has.

        Raises:
            SpecError: two paths write one span in two ways (`1` and `01`): which of them counts can't be told.
        """
        found: dict[tuple[int, ...], list[str]] = {}
        spelled: dict[tuple[int, ...], tuple[str, str]] = {}
        odd = []
        for path in sorted(paths):
            match = self._regex.fullmatch(path)
            if match is None:
                continue
            key = tuple(int(match[name]) for name in self.fields)
            if not _is_date(self.fields, key):
                odd.append(path)
                continue
            spelling = "/".join(match[name] for name in self.fields)
            before, other = spelled.setdefault(key, (spelling, path))
            if before != spelling:
                raise SpecError(
                    f"{other} and {path} are both span {self.label(key)}", hint="remove one of them"
                )
            found.setdefault(key, []).append(path)
        spans = [Span(key, self.label(key), tuple(found[key])) for key in sorted(found)]
        return spans, odd

    def label(self, key: Sequence[int]) -> str:
        """A span for people."""
        if self.fields == ("SPAN",):
            return str(key[0])
        text = "-".join(f"{number:0{width}d}" for number, width in zip(key, (4, 2, 2), strict=False))
        return f"{text}T{key[3]:02d}" if len(key) > 3 else text

    def key(self, named: str) -> tuple[int, ...]:
        """The numbers of a span that is named as in `Span.label`, padded or not.

        Raises:
            SpecError: it is no such name.
        """
        numbers = re.findall(r"\d+", named)
        key = tuple(int(number) for number in numbers)
        written = re.fullmatch(r"\d+([-/T :]\d+)*", named.strip())
        if not written or len(key) != len(self.fields) or not _is_date(self.fields, key):
            example = "7" if self.fields == ("SPAN",) else self.label((2024, 5, 1, 0)[: len(self.fields)])
            raise SpecError(
                f"span.use: {named!r} is no span of the pattern {self.text}", hint=f"such as {example}"
            )
        return key


def span_pattern(text: str) -> SpanPattern:
    """Understand a pattern.

    Raises:
        SpecError: a placeholder that is none, none at all, dates without a year or with a gap, dates beside `{SPAN}`.
    """
    parts, seen, start = [], [], 0
    for match in _TOKEN.finditer(text):
        parts.append(re.escape(text[start : match.start()]))
        start = match.end()
        name = match[1]
        if name is None:
            parts.append(r"(?:[^/]+/)*" if match[2] else "[^/]*" if match[3] else "[^/]")
        elif name not in _DIGITS:
            raise SpecError(
                f"span.pattern: {match[0]} is no part of a date or number",
                hint="use {YYYY}, {MM}, {DD} and {HH}, or {SPAN}",
            )
        elif name in seen:
            parts.append(f"(?P={name})")
        else:
            # Written without anything between them, only zeros tell where one ends: {YYYY}{MM}{DD}.
            touches = text[: match.start()].endswith("}") or text[start:].startswith("{")
            digits = r"\d{2}" if touches and name in _DATE[1:] else _DIGITS[name]
            seen.append(name)
            parts.append(f"(?P<{name}>{digits})")
    parts.append(re.escape(text[start:]))
    fields = ("SPAN",) if "SPAN" in seen else tuple(name for name in _DATE if name in seen)
    if not seen or (fields != ("SPAN",) and fields != _DATE[: len(fields)]) or set(seen) != set(fields):
        raise SpecError(
            f"span.pattern: {text} says neither a date nor a number",
            hint="use {YYYY}, then {MM}, {DD} and {HH} as far down as wanted, or {SPAN} alone",
        )
    return SpanPattern(text, fields, re.compile("".join(parts)))


def choose_spans(pattern: SpanPattern, spans: Sequence[Span], use: Use) -> list[Span]:
    """The spans to use, oldest first.

    Args:
        pattern: that they belong to.
        spans: those that are there, oldest first.
        use: which are wanted.

    Raises:
        SpecError: the one that is wanted is not there; names the nearest.
    """
    if use.span is None:
        return list(spans[-(use.last or 1) :])
    key = pattern.key(use.span)
    chosen = [span for span in spans if span.key == key]
    if not chosen:
        earlier = [span for span in spans if span.key < key][-2:]
        later = [span for span in spans if span.key > key][:2]
        nearest = ", ".join(span.paths[0] for span in (*earlier, *later))
        raise SpecError(
            f"span.use: there is no span {pattern.label(key)} of {pattern.text}",
            hint=f"the nearest are {nearest}",
        )
    return chosen


@dataclass(frozen=True)
class Picked:
    """Files of the spans to use.

    Attributes:
        spans: their labels, oldest first; empty when the pattern fits nothing.
        files: name of each file to its span's label, in the order of spans.
        whole: the pattern fits the files themselves, and not folders above them.
        odd: paths that fit, but say a date that no calendar has.
    """

    spans: tuple[str, ...]
    files: Mapping[str, str]
    whole: bool
    odd: tuple[str, ...]


def pick_files(pattern: SpanPattern, names: Collection[str], use: Use) -> Picked:
    """The files of the spans to use; one belongs to a span by its own path or by that of a folder above it.

    Args:
        pattern: of the spans.
        names: paths of files, written like the pattern.
        use: which spans.

    Raises:
        SpecError: the span that is wanted is not there, or one is written in two ways.
    """
    above = {parent for name in names for parent in _parents(name)}
    spans, odd = pattern.spans({*names, *above})
    if not spans:
        return Picked((), {}, whole=False, odd=tuple(odd))
    wanted = choose_spans(pattern, spans, use)
    span_of = {path: span.label for span in wanted for path in span.paths}
    found: dict[str, list[str]] = {span.label: [] for span in wanted}
    for name in sorted(names):
        path = next((path for path in (name, *_parents(name)) if path in span_of), None)
        if path is not None:
            found[span_of[path]].append(name)
    files = {name: label for label, mine in found.items() for name in mine}
    listed = set(names)
    whole = all(path in listed for path in span_of)
    return Picked(tuple(span.label for span in wanted), files, whole, tuple(odd))


def wanted_span(span: object) -> tuple[str, Use]:
    """The pattern and the use that a spec's `span` says, JSON values."""
    said = span if isinstance(span, Mapping) else {}
    use = said.get("use")
    if isinstance(use, Mapping):
        named, last = use.get("span"), use.get("last")
    else:
        named, last = (None if use == "latest" else use), None
    text = str(PurePosixPath(str(said.get("pattern") or "")))
    if named is not None:
        return text, Use(span=str(named))
    return text, Use(last=last if isinstance(last, int) else 1)


def _parents(name: str) -> list[str]:
    return [name[:index] for index, letter in enumerate(name) if letter == "/" and index]


def _is_date(fields: Sequence[str], key: tuple[int, ...]) -> bool:
    if fields == ("SPAN",):
        return True
    whole = (*key, *(1, 1, 1, 0)[len(key) :])
    try:
        datetime(whole[0], whole[1], whole[2], whole[3])  # noqa: DTZ001 - only whether the calendar has it
    except ValueError:
        return False
    return True
