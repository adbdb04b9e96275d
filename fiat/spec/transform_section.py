"""The section `transform`: what is fitted on the train split and becomes part of the served graph."""

from typing import Any, Literal

from pydantic import Field, model_validator

from fiat.spec.section import Number, Section, Text, Whole, fault, require_one

TRANSFORMS = ("impute", "standardize", "min_max", "one_hot", "ordinal", "hash", "log1p", "clip", "bucketize")


class OneHot(Section):
    """One column a category."""

    max: Whole = Field(default=100, description="Most categories; the rarest beyond it are unknown.")
    unknown: Literal["other", "ignore", "error"] = Field(
        default="other", description="What a category becomes that training did not see."
    )


class Clip(Section):
    """Limits for numbers."""

    min: Number | None = Field(default=None, description="Smaller numbers become this.")
    max: Number | None = Field(default=None, description="Larger numbers become this.")


class Apply(Section):
    """One transform: a word such as `standardize`, or a word with its setting such as `bucketize: 10`."""

    impute: Literal["mean", "median", "most_frequent", "zero"] | None = Field(
        default=None, description="What missing values become."
    )
    standardize: Literal[True] | None = Field(default=None, description="Mean 0 and standard deviation 1.")
    min_max: Literal[True] | None = Field(default=None, description="Smallest value 0, largest 1.")
    one_hot: OneHot | None = Field(default=None, description="One column a category.")
    ordinal: OneHot | None = Field(default=None, description="A number a category.")
    hash: Whole | None = Field(default=None, description="Categories hashed into so many buckets.")
    log1p: Literal[True] | None = Field(default=None, description="Logarithm of 1 plus the number.")
    clip: Clip | None = Field(default=None, description="Limits for numbers.")
    bucketize: Whole | None = Field(default=None, description="So many buckets of as many rows each.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {} if value in ("one_hot", "ordinal", "clip") else True}
        return value

    @model_validator(mode="after")
    def _one(self) -> "Apply":
        require_one(self, TRANSFORMS, "a transform")
        return self


class Transform(Section):
    """Transforms of some columns, in order."""

    columns: tuple[Text, ...] = Field(min_length=1, description="Columns to transform.")
    apply: tuple[Apply, ...] = Field(min_length=1, description="Transforms in order.")

    @model_validator(mode="after")
    def _distinct(self) -> "Transform":
        if len(set(self.columns)) < len(self.columns):
            raise fault("a column is named twice", key="columns")
        return self
