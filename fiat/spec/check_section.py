"""The key `data.<name>.checks`: what must hold of a dataset before anything is trained on it."""

from typing import Literal

from pydantic import Field, model_validator

from fiat.spec.section import Amount, Count, Section, Severity, Text, require_one

Distance = Literal["js", "linf", "psi"]


class RowsChange(Section):
    """How far the number of rows may move."""

    against: Literal["previous"] = Field(description="What to compare with: the data of the previous run.")
    max_ratio: Amount = Field(description="Largest change, as a share of the earlier number of rows.")


class RowsCheck(Section):
    """How many rows there must be."""

    min: Count | None = Field(default=None, description="Fewest rows.")
    max: Count | None = Field(default=None, description="Most rows.")
    change: RowsChange | None = Field(default=None, description="How far the number may move.")


class ColumnsCheck(Section):
    """What to say of columns that the schema does not have, or that are missing."""

    unexpected: Literal["error", "warn", "ignore"] = Field(
        default="error", description="A column that the schema does not name."
    )
    missing: Literal["error", "warn", "ignore"] = Field(
        default="error", description="A column of the schema that is not there."
    )


class DriftCheck(Section):
    """How far the columns' distributions may move."""

    against: Literal["previous", "serving", "baseline"] = Field(description="What to compare with.")
    metric: Distance = Field(default="js", description="Distance: Jensen-Shannon, L-infinity or PSI.")
    max: Amount = Field(description="Largest distance of any column.")
    columns: dict[str, Amount] = Field(default_factory=dict, description="Other limits for single columns.")


class Check(Section):
    """One thing that must hold of the data: rows, columns, drift, skew or sql."""

    rows: RowsCheck | None = Field(default=None, description="Number of rows.")
    columns: ColumnsCheck | None = Field(default=None, description="Columns against the schema.")
    drift: DriftCheck | None = Field(default=None, description="Distributions against earlier data.")
    skew: DriftCheck | None = Field(default=None, description="Distributions against what is served.")
    sql: Text | None = Field(
        default=None, description="Query over `train`, `eval` and `test`; rows are anomalies."
    )
    severity: Severity = Field(default="error", description="What an anomaly does: stop the run, or warn.")

    @model_validator(mode="after")
    def _one(self) -> "Check":
        require_one(self, ("rows", "columns", "drift", "skew", "sql"), "a check")
        return self
