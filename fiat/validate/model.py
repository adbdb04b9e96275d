"""What may be said of data, and what was found against it. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["error", "warn"]
ColumnType = Literal["int", "float", "bool", "text", "bytes", "time", "list", "tensor", "image"]
Metric = Literal["js", "linf", "psi", "ks", "wasserstein"]
MOST_EXAMPLES = 10


@dataclass(frozen=True)
class Domain:
    """Which values a column may have; what is None is not asked for.

    Attributes:
        min: smallest number.
        max: largest number.
        values: the texts (or whole numbers, as texts) that it may have.
        mass: least share (0..1) of the values that must be among `values`: 1 tolerates no other.
        regex: pattern that each whole text must match.
        min_length: fewest characters of a text.
        max_length: most characters of a text.
    """

    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    mass: float = 1.0
    regex: str | None = None
    min_length: int | None = None
    max_length: int | None = None


@dataclass(frozen=True)
class ImageDomain:
    """What pictures a column may have.

    Attributes:
        formats: such as `("png", "jpeg")`; empty for any.
        min_supported: least share (0..1) of rows whose bytes are a picture that can be read.
        min_width: in pixels, as the three below.
        max_width: widest.
        min_height: lowest.
        max_height: highest.
        max_bytes: largest encoded size.
    """

    formats: tuple[str, ...] = ()
    min_supported: float = 1.0
    min_width: int | None = None
    max_width: int | None = None
    min_height: int | None = None
    max_height: int | None = None
    max_bytes: int | None = None


@dataclass(frozen=True)
class Limit:
    """How far a column's distribution may be from another's.

    Attributes:
        metric: the distance.
        max: the largest allowed.
    """

    metric: Metric
    max: float


@dataclass(frozen=True)
class ColumnSchema:
    """What must hold of one column; what is None is not asked for.

    Attributes:
        name: of the column.
        type: what it holds; None for any.
        required: the column must be there (in every environment that it belongs to).
        min_present: least share (0..1) of rows with a value.
        min_count: fewest rows with a value.
        domain: which values.
        image: which pictures.
        min_values: fewest values a row (of a list).
        max_values: most values a row.
        shape: of a tensor, without the row axis; None in it for any size.
        min_unique: fewest different values.
        max_unique: most different values.
        unique: no value twice.
        nan: NaN is allowed.
        inf: infinities are allowed.
        in_environments: names of the environments that it belongs to; empty for all.
        not_in_environments: those that it does not belong to (a label may be absent in `serving`).
        drift: against the data before.
        skew: against what is served.
        severity: of its anomalies.
        description: for people.
    """

    name: str
    type: ColumnType | None = None
    required: bool = True
    min_present: float | None = None
    min_count: int | None = None
    domain: Domain = field(default_factory=Domain)
    image: ImageDomain | None = None
    min_values: int | None = None
    max_values: int | None = None
    shape: tuple[int | None, ...] | None = None
    min_unique: int | None = None
    max_unique: int | None = None
    unique: bool = False
    nan: bool = True
    inf: bool = True
    in_environments: tuple[str, ...] = ()
    not_in_environments: tuple[str, ...] = ()
    drift: Limit | None = None
    skew: Limit | None = None
    severity: Severity = "error"
    description: str = ""


@dataclass(frozen=True)
class Schema:
    """What must hold of a dataset.

    Attributes:
        columns: in order.
        min_rows: fewest rows of a split.
        max_rows: most rows of a split.
        environments: all environments that columns may name.
        label: column to predict, None when unknown.
        notes: what an import passed over, a sentence each; no part of what must hold.
    """

    columns: tuple[ColumnSchema, ...]
    min_rows: int | None = None
    max_rows: int | None = None
    environments: tuple[str, ...] = ("training", "serving")
    label: str | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    def column(self, name: str) -> ColumnSchema | None:
        """What is said of a column, None when nothing is."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Example:
    """A row that shows an anomaly.

    Attributes:
        split: `train`, `eval` or `test`.
        row: 1-based number of the row within the split; 0 where the anomaly is of no single row.
        value: what it holds, as JSON has it; for several columns a mapping.
    """

    split: str
    row: int
    value: object = None


@dataclass(frozen=True)
class Anomaly:
    """Something that does not hold.

    Attributes:
        kind: its name, such as `out_of_range_low`; all of them stand in `fiat.validate.kinds.KINDS`.
        column: which column; empty for the dataset.
        message: what was found and what was expected, one sentence with the numbers.
        n_rows: rows that it concerns; 0 where it is of no rows.
        examples: up to MOST_EXAMPLES of these rows.
        severity: `error` stops the run, `warn` only says so.
        split: where it was found; empty for all.
        key: key path in the spec or the schema that asked, such as `checks[1]` or `columns.age.domain.min`.
        value: the number judged, None when there is none.
        limit: the number it was judged by.
    """

    kind: str
    column: str
    message: str
    n_rows: int = 0
    examples: tuple[Example, ...] = ()
    severity: Severity = "error"
    split: str = ""
    key: str = ""
    value: float | None = None
    limit: float | None = None


Say = Literal["error", "warn", "ignore"]


@dataclass(frozen=True)
class RowsRule:
    """Number of rows of all splits together, and against other data."""

    min: int | None = None
    max: int | None = None
    max_change: float | None = None
    against: str = "previous"
    severity: Severity = "error"
    key: str = ""


@dataclass(frozen=True)
class ColumnsRule:
    """What to say of columns that the schema does not have, or that are missing."""

    unexpected: Say = "error"
    missing: Say = "error"
    key: str = ""


@dataclass(frozen=True)
class DistanceRule:
    """How far columns may move.

    Attributes:
        name: `drift` (against data before) or `skew` (against data elsewhere).
        against: `previous`, `train` (other splits against train), `serving` (train against it), or `data.<name>`.
        metric: distance; None chooses by column: L-infinity for categories, Jensen-Shannon for numbers.
        max: largest distance of any column.
        columns: other limits for single columns.
        severity: of its anomalies.
        key: in the spec.
        ignore: columns that are not compared unless `columns` names them.
    """

    name: Literal["drift", "skew"]
    against: str
    max: float
    metric: Metric | None = None
    columns: Mapping[str, float] = field(default_factory=dict)
    severity: Severity = "error"
    key: str = ""
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True)
class DuplicatesRule:
    """Rows that are there twice.

    Attributes:
        across: what to say of equal rows in two splits (leakage).
        within: what to say of equal rows in one split.
        max_share: share (0..1) of a split's rows that may be such.
        near: least similarity (0..1) at which rows count as near duplicates across splits; None looks for equal ones
            only.
        columns: compare these only; empty for all features and the label.
        key: in the spec.
    """

    across: Say = "error"
    within: Say = "ignore"
    max_share: float = 0.0
    near: float | None = None
    columns: tuple[str, ...] = ()
    key: str = ""


@dataclass(frozen=True)
class LeakRule:
    """A column that gives the label away: how well it alone predicts the label.

    Attributes:
        max_score: largest allowed score: 0 no better than chance, 1 perfect.
        ignore: columns that may.
        severity: of its anomalies.
        key: in the spec.
    """

    max_score: float = 0.99
    ignore: tuple[str, ...] = ()
    severity: Severity = "warn"
    key: str = ""


@dataclass(frozen=True)
class LabelRule:
    """How far the label's distribution may move: L-infinity of class shares, Jensen-Shannon for numbers."""

    max: float = 0.1
    against: str = "train"
    severity: Severity = "warn"
    key: str = ""


@dataclass(frozen=True)
class SqlRule:
    """A query over the tables `train`, `eval` and `test`, whose rows are anomalies (a single count above 0 is, too)."""

    query: str
    severity: Severity = "error"
    key: str = ""


Rule = RowsRule | ColumnsRule | DistanceRule | DuplicatesRule | LeakRule | LabelRule | SqlRule


@dataclass(frozen=True)
class Findings:
    """All that was found of one dataset.

    Attributes:
        anomalies: errors first, then in the order of the rules.
        n_rows: rows looked at, split to rows.
        compared: `previous`, `data.<name>`, ... to the source digest that it was compared with, empty for none.
    """

    anomalies: tuple[Anomaly, ...] = ()
    n_rows: Mapping[str, int] = field(default_factory=dict)
    compared: Mapping[str, str] = field(default_factory=dict)

    @property
    def errors(self) -> tuple[Anomaly, ...]:
        """Those that stop a run."""
        return tuple(item for item in self.anomalies if item.severity == "error")
