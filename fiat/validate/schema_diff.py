"""What changed between two schemas, a sentence each, and whether data that fitted before may fail now."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fiat.validate.model import ColumnSchema, Domain, ImageDomain, Limit, Schema
from fiat.validate.schema_words import shown

MOST_LISTED = 10


@dataclass(frozen=True)
class Change:
    """One thing that is said differently.

    Attributes:
        column: which column; empty for the whole dataset.
        what: the key in the file, such as `range.max`; `column` for a column that came or went.
        before: what was said, as people read it; empty for nothing.
        after: what is said now; empty for nothing.
        breaking: data that fitted the old schema may not fit the new one.
        sentence: all of it as one sentence.
    """

    column: str
    what: str
    before: str
    after: str
    breaking: bool
    sentence: str


def diff_schemas(old: Schema, new: Schema) -> tuple[Change, ...]:
    """What changed: of the dataset first, then column by column in the new schema's order, removed columns last.

    Args:
        old: what was said before.
        new: what is said now.
    """
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    changes = list(_of_dataset(old, new))
    for name, column in after.items():
        if name in before:
            changes += _of_column(before[name], column)
        else:
            kind = column.type or "of any type"
            must = column.required
            sentence = f"{shown(name)} is new: {kind}{', required' if must else ''}"
            changes.append(Change(name, "column", "", str(kind), must, sentence))
    for name, column in before.items():
        if name not in after:
            # Where columns that the schema does not name are errors, data that has it fails.
            sentence = f"{shown(name)} is gone"
            changes.append(Change(name, "column", column.type or "of any type", "", True, sentence))
    return tuple(changes)


def _of_dataset(old: Schema, new: Schema) -> Iterator[Change]:
    yield from _bound("", "rows.min", old.min_rows, new.min_rows, lower=True)
    yield from _bound("", "rows.max", old.max_rows, new.max_rows, lower=False)
    if old.label != new.label:
        yield _change("", "label", old.label or "", new.label or "", breaking=False)
    yield from _members("", "environments", old.environments, new.environments, tightens="none")
    names = [column.name for column in new.columns if old.column(column.name)]
    were = [column.name for column in old.columns if new.column(column.name)]
    if names != were:
        sentence = "the order of the columns changed"
        yield Change("", "columns", _listed(were), _listed(names), False, sentence)


def _of_column(old: ColumnSchema, new: ColumnSchema) -> Iterator[Change]:
    name = new.name
    if old.type != new.type:
        loosens = new.type is None or (old.type, new.type) == ("int", "float")
        yield _change(name, "type", old.type or "any", new.type or "any", breaking=not loosens)
    if old.required != new.required:
        yield _change(name, "required", _flag(old.required), _flag(new.required), breaking=new.required)
    yield from _bound(name, "present.share", old.min_present, new.min_present, lower=True)
    yield from _bound(name, "present.count", old.min_count, new.min_count, lower=True)
    yield from _of_domain(name, old.domain, new.domain)
    yield from _bound(name, "per_row.min", old.min_values, new.min_values, lower=True)
    yield from _bound(name, "per_row.max", old.max_values, new.max_values, lower=False)
    if old.shape != new.shape:
        yield _change(
            name, "shape", _shape(old.shape), _shape(new.shape), breaking=not _covers(new.shape, old.shape)
        )
    if old.unique != new.unique:
        yield _change(name, "unique", _flag(old.unique), _flag(new.unique), breaking=new.unique)
    yield from _bound(name, "distinct.min", old.min_unique, new.min_unique, lower=True)
    yield from _bound(name, "distinct.max", old.max_unique, new.max_unique, lower=False)
    for key, was, now in (("nan", old.nan, new.nan), ("inf", old.inf, new.inf)):
        if was != now:
            yield _change(name, key, _flag(was), _flag(now), breaking=not now)
    yield from _of_image(name, old.image, new.image)
    if old.in_environments != new.in_environments:
        yield from _belonging(name, "environments", old.in_environments, new.in_environments)
    if old.not_in_environments != new.not_in_environments:
        yield from _belonging(name, "not_in", old.not_in_environments, new.not_in_environments)
    for key, limit, limit_now in (("drift", old.drift, new.drift), ("skew", old.skew, new.skew)):
        if limit != limit_now:
            yield _change(name, key, _limit(limit), _limit(limit_now), breaking=_tightens(limit, limit_now))
    if old.severity != new.severity:
        yield _change(name, "severity", old.severity, new.severity, breaking=new.severity == "error")
    if old.description != new.description:
        yield _change(name, "description", old.description, new.description, breaking=False)


def _of_domain(name: str, old: Domain, new: Domain) -> Iterator[Change]:
    if old.values is None or new.values is None:
        if old.values != new.values:
            before, after = _listed(old.values or ()), _listed(new.values or ())
            yield _change(name, "values", before, after, breaking=new.values is not None)
    else:
        yield from _members(name, "values", old.values, new.values, tightens="removed")
    if old.mass != new.mass and old.values is not None and new.values is not None:
        yield _change(name, "mass", f"{old.mass:g}", f"{new.mass:g}", breaking=new.mass > old.mass)
    yield from _bound(name, "range.min", old.min, new.min, lower=True)
    yield from _bound(name, "range.max", old.max, new.max, lower=False)
    if old.regex != new.regex:
        yield _change(name, "regex", old.regex or "", new.regex or "", breaking=new.regex is not None)
    yield from _bound(name, "length.min", old.min_length, new.min_length, lower=True)
    yield from _bound(name, "length.max", old.max_length, new.max_length, lower=False)


def _of_image(name: str, old: ImageDomain | None, new: ImageDomain | None) -> Iterator[Change]:
    if old is None or new is None:
        if old != new:
            before, after = ("" if image is None else "pictures" for image in (old, new))
            yield _change(name, "image", before, after, breaking=new is not None)
        return
    if set(old.formats) != set(new.formats):
        # No format named allows all of them.
        tight = bool(new.formats) and not (old.formats and set(old.formats) <= set(new.formats))
        before, after = (_listed(image.formats) for image in (old, new))
        yield _change(name, "image.formats", before, after, breaking=tight)
    yield from _bound(name, "image.supported", old.min_supported, new.min_supported, lower=True)
    yield from _bound(name, "image.width.min", old.min_width, new.min_width, lower=True)
    yield from _bound(name, "image.width.max", old.max_width, new.max_width, lower=False)
    yield from _bound(name, "image.height.min", old.min_height, new.min_height, lower=True)
    yield from _bound(name, "image.height.max", old.max_height, new.max_height, lower=False)
    yield from _bound(name, "image.max_bytes", old.max_bytes, new.max_bytes, lower=False)


def _bound(name: str, what: str, old: float | None, new: float | None, *, lower: bool) -> Iterator[Change]:
    """A bound that moved: tighter when a lower one rises or an upper one falls."""
    if old == new:
        return
    tighter = new is not None and (old is None or (new > old if lower else new < old))
    before, after = ("" if value is None else _number(value) for value in (old, new))
    yield _change(name, what, before, after, breaking=tighter)


def _members(
    name: str, what: str, old: Sequence[str], new: Sequence[str], *, tightens: str
) -> Iterator[Change]:
    """What came into a list and what went out of it."""
    of = f" of {shown(name)}" if name else ""
    gone = [item for item in old if item not in set(new)]
    added = [item for item in new if item not in set(old)]
    for items, verb in ((gone, "no longer has"), (added, "now also has")):
        if items:
            breaking = tightens == "removed" and items is gone
            before, after = (_listed(items), "") if items is gone else ("", _listed(items))
            yield Change(name, what, before, after, breaking, f"`{what}`{of} {verb} {_listed(items)}")


def _belonging(name: str, what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    yield _change(name, what, _listed(old), _listed(new), breaking=True)


def _change(name: str, what: str, before: str, after: str, *, breaking: bool) -> Change:
    of = f" of {shown(name)}" if name else ""
    if not before:
        sentence = f"`{what}`{of} is new: {after}"
    elif not after:
        sentence = f"`{what}`{of} is no longer asked for, it was {before}"
    else:
        sentence = f"`{what}`{of} was {before} and is {after} now"
    return Change(name, what, before, after, breaking, sentence)


def _listed(items: Sequence[str]) -> str:
    """Items as a sentence lists them, the first ten."""
    more = f" and {len(items) - MOST_LISTED:,} more" if len(items) > MOST_LISTED else ""
    return ", ".join(shown(item) for item in items[:MOST_LISTED]) + more


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.12g}"


def _shape(shape: Sequence[int | None] | None) -> str:
    return "" if shape is None else f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _covers(wide: Sequence[int | None] | None, narrow: Sequence[int | None] | None) -> bool:
    """Whether every tensor of one shape has the other."""
    if wide is None:
        return True
    if narrow is None or len(wide) != len(narrow):
        return False
    return all(size is None or size == other for size, other in zip(wide, narrow, strict=True))


def _limit(limit: Limit | None) -> str:
    return "" if limit is None else f"{limit.metric} up to {limit.max:g}"


def _tightens(old: Limit | None, new: Limit | None) -> bool:
    if new is None:
        return False
    return old is None or old.metric != new.metric or new.max < old.max


def by_column(changes: Sequence[Change]) -> Mapping[str, tuple[Change, ...]]:
    """Changes of each column, in their order; of the dataset under the empty name."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.column, []).append(change)
    return {name: tuple(items) for name, items in found.items()}
