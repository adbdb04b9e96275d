"""The key `data.<name>.checks`: what must hold of a dataset before anything is trained on it."""

from typing import Literal

from pydantic import Field, model_validator

from fiat.spec.section import Amount, Count, Ratio, Section, Severity, Text, require_one

Distance = Literal["js", "linf", "psi", "ks", "wasserstein"]
Say = Literal["error", "warn", "ignore"]
CHECKS = ("rows", "columns", "drift", "skew", "duplicates", "leak", "label", "sql")


class RowsChange(Section):
    """How far the number of rows may move."""

    against: Text = Field(
        default="previous", description="`previous` (the data of the run before), or `data.<name>`."
    )
    max_ratio: Amount = Field(description="Largest change, as a share of the earlier number of rows.")


class RowsCheck(Section):
    """How many rows there must be."""

    min: Count | None = Field(default=None, description="Fewest rows, all splits together.")
    max: Count | None = Field(default=None, description="Most rows.")
    change: RowsChange | None = Field(default=None, description="How far the number may move.")


class ColumnsCheck(Section):
    """What to say of columns that the schema does not have, or that are missing."""

    unexpected: Say = Field(default="error", description="A column that the schema does not name.")
    missing: Say = Field(default="error", description="A column of the schema that is not there.")


class DriftCheck(Section):
    """How far the columns' distributions may move."""

    against: Text = Field(
        description="`previous` (the data of the run before), `train` (of the other splits), `serving` (train against "
        "what clients sent to the served model), or `data.<name>`."
    )
    metric: Distance | None = Field(
        default=None,
        description="Distance: Jensen-Shannon, L-infinity, PSI, Kolmogorov-Smirnov or Wasserstein; left out: linf "
        "for categories and js for numbers.",
    )
    max: Amount = Field(description="Largest distance of any column.")
    columns: dict[str, Amount] = Field(default_factory=dict, description="Other limits for single columns.")


class DuplicatesCheck(Section):
    """Rows that are there twice."""

    across: Say = Field(default="error", description="Equal rows in two splits: the test gives answers away.")
    within: Say = Field(default="ignore", description="Equal rows in one split.")
    max_share: Ratio = Field(default=0.0, description="Share of a split's rows that may be such.")
    near: Ratio | None = Field(
        default=None,
        description="Likeness (0 to 1) from which rows of two splits count as equal, such as 0.9.",
    )
    columns: tuple[Text, ...] | None = Field(
        default=None, description="Compare these columns only; left out: features and label."
    )


class LeakCheck(Section):
    """A column that gives the label away."""

    max_score: Ratio = Field(
        default=0.99, description="How well one column alone may predict the label: 0 by chance, 1 perfectly."
    )
    ignore: tuple[Text, ...] = Field(default=(), description="Columns that may.")


class LabelCheck(Section):
    """How far the label's distribution may move."""

    against: Text = Field(
        default="train", description="`train` (of the other splits), `previous`, `data.<name>`."
    )
    max: Amount = Field(default=0.1, description="Largest distance: L-infinity of classes, js of numbers.")


class Check(Section):
    """One thing that must hold of the data."""

    rows: RowsCheck | None = Field(default=None, description="Number of rows.")
    columns: ColumnsCheck | None = Field(default=None, description="Columns against the schema.")
    drift: DriftCheck | None = Field(default=None, description="Distributions against earlier data.")
    skew: DriftCheck | None = Field(default=None, description="Distributions against what is served.")
    duplicates: DuplicatesCheck | None = Field(default=None, description="Rows that are there twice.")
    leak: LeakCheck | None = Field(default=None, description="A column that gives the label away.")
    label: LabelCheck | None = Field(default=None, description="Balance of the label.")
    sql: Text | None = Field(
        default=None, description="Query over `train`, `eval` and `test`; rows are anomalies."
    )
    severity: Severity = Field(default="error", description="What an anomaly does: stop the run, or warn.")

    @model_validator(mode="after")
    def _one(self) -> "Check":
        require_one(self, CHECKS, "a check")
        return self

    @property
    def against(self) -> str:
        """What it compares with; empty for nothing."""
        found = self.drift or self.skew or self.label or (self.rows.change if self.rows else None)
        return found.against if found else ""
