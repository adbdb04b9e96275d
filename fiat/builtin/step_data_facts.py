"""What a data step says of the dataset that it made: facts for reports, warnings for the verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from fiat.builtin.step_data_span import SpanChoice
from fiat.builtin.step_data_split import wanted_splits
from fiat.data.cells import listed
from fiat.data.layout import layout_of
from fiat.data.sample import SampleCount
from fiat.data.stream import Reading
from fiat.data.write import Written
from fiat.ports.source import Fetched

_SHOWN_CLASSES = 5
_SHOWN_CELLS = 3


@dataclass(frozen=True)
class Made:
    """A dataset, and what it was made from.

    Attributes:
        written: the dataset.
        reading: its files.
        sample: rows read and kept, None without `sample`.
        spans: that were read, None without `span`.
        types: column to what the schema says that it holds.
    """

    written: Written
    reading: Reading
    sample: SampleCount | None
    spans: SpanChoice | None
    types: Mapping[str, str] = field(default_factory=dict)


def made_facts(
    made: Made, fetched: Fetched, format_name: str, n_files: int, ignored: Sequence[str]
) -> dict[str, object]:
    """Everything that reports tell of it, JSON values."""
    written, reading = made.written, made.reading
    facts: dict[str, object] = {
        "rows": written.rows,
        "columns": written.columns,
        "features": list(written.features),
        "layout": layout_of(reading.schema, written.features),
        "classes": written.classes,
        "class_rows": written.class_rows,
        "size_bytes": written.size_bytes,
        "source_digest": fetched.digest,
        "format": format_name,
        "n_files": n_files,
        "ignored_files": list(ignored)[:100],
    }
    if made.sample:
        facts |= {"rows_read": made.sample.read, "rows_kept": made.sample.kept}
    if made.spans:
        facts |= {"spans": list(made.spans.spans), "span_rows": dict(made.spans.rows)}
    if reading.n_bad:
        facts["unparsable"] = {
            column: {
                "n": count,
                "examples": [asdict(cell) for cell in reading.cells if cell.column == column],
            }
            for column, count in reading.n_bad.items()
        }
    return facts


def made_warnings(params: Mapping[str, object], made: Made) -> tuple[str, ...]:
    """What people should know of it, one sentence each."""
    reading, written = made.reading, made.written
    warnings = [*reading.notes, *(made.spans.warnings if made.spans else ())]
    for column, count in reading.n_bad.items():
        named = [str(cell) for cell in reading.cells if cell.column == column][:_SHOWN_CELLS]
        words = "value is no {0} and counts" if count == 1 else "values are no {0} and count"
        said = words.format(made.types[column])
        warnings.append(f"column {column!r}: {count:,} {said} as missing: {listed(named, count)}")
    sample = params.get("sample")
    wanted = sample.get("rows") if isinstance(sample, Mapping) else None
    if made.sample and isinstance(wanted, int) and made.sample.kept < wanted:
        warnings.append(f"sample asks for {wanted:,} rows, and the data has {made.sample.read:,}")
    warnings += [f"split {split} has no rows" for split in wanted_splits(params) if not written.rows[split]]
    known = written.class_rows.get("train", {})
    for split in ("eval", "test"):
        unseen = [label for label in written.class_rows.get(split, {}) if label not in known]
        if unseen:
            more = ", ..." if len(unseen) > _SHOWN_CLASSES else ""
            shown = ", ".join(unseen[:_SHOWN_CLASSES]) + more
            warnings.append(f"{split} has labels that train does not have: {shown}")
    return tuple(warnings)
