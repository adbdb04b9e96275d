"""The section `transform`: what is fitted on the train split and becomes part of the served graph."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fiat.spec.section import Call, Flag, Free, Number, Section, Text, Whole, fault, require_one

DATE_PARTS = ("year", "month", "day", "weekday", "hour", "minute", "second", "day_of_year")
Parts = tuple[Literal["year", "month", "day", "weekday", "hour", "minute", "second", "day_of_year"], ...]

MOST_BUCKETS, MOST_WORDS = 10_000, 65_536
"""More would ask for more memory than machines have."""


class Impute(Section):
    """What missing values become."""

    by: Literal["mean", "median", "most_frequent", "zero"] | None = Field(
        default=None, description="A number or category of the train split, or zero."
    )
    value: Number | Text | None = Field(default=None, description="This number or text.")
    flag: Flag = Field(default=False, description="Add a column that is 1 where the value was missing.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"by": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one(self) -> "Impute":
        require_one(self, ("by", "value"), "`impute`")
        return self


class Categories(Section):
    """Categories that the train split has."""

    max: Whole = Field(default=100, description="Most categories; the rarest beyond it are unknown.")
    min_rows: Whole = Field(default=1, description="Fewest rows that make a category.")
    unknown: Literal["other", "ignore", "error"] = Field(
        default="other",
        description="What a category becomes that training did not see: one more category, none of them, or a "
        "refusal when the graph is run.",
    )


class EmbedIndex(Section):
    """Whole numbers for an embedding table: 0 is missing or filled up, 1 is unknown, then the categories."""

    max: Whole = Field(default=10000, description="Most categories; the rarest beyond it are unknown.")
    min_rows: Whole = Field(default=1, description="Fewest rows that make a category.")
    length: Whole = Field(default=32, le=MOST_WORDS, description="Numbers a row when the column is tokens.")


class Clip(Section):
    """Limits for numbers."""

    min: Number | None = Field(default=None, description="Smaller numbers become this.")
    max: Number | None = Field(default=None, description="Larger numbers become this.")

    @model_validator(mode="after")
    def _some(self) -> "Clip":
        if self.min is None and self.max is None:
            raise fault("`clip` needs `min`, `max` or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise fault("`min` of `clip` is above its `max`", key="min")
        return self


class Bucketize(Section):
    """Numbers become the number of their bucket, from 0."""

    buckets: Whole | None = Field(
        default=None, le=MOST_BUCKETS, description="So many buckets of as many rows each."
    )
    edges: tuple[Number, ...] | None = Field(
        default=None, min_length=1, description="Where buckets end, ascending; an edge belongs to the next."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, int) and not isinstance(value, bool):
            return {"buckets": value}
        return {"edges": value} if isinstance(value, (list, tuple)) else value

    @model_validator(mode="after")
    def _one(self) -> "Bucketize":
        require_one(self, ("buckets", "edges"), "`bucketize`")
        if self.edges and list(self.edges) != sorted(set(self.edges)):
            raise fault("`edges` must be ascending", key="edges")
        return self


class Tokenize(Section):
    """Texts become words."""

    pattern: Text | None = Field(
        default=None, description="RE2 pattern of a word, such as `[a-z]+`; left out: what is between spaces."
    )
    max: Whole | None = Field(default=None, description="Most words of a text; later ones are left out.")


class TfIdf(Section):
    """Words become a column a word: how often it is there, times how rare it is."""

    max: Whole = Field(default=1000, description="Most words: those in most texts of the train split.")
    min_rows: Whole = Field(default=2, description="Fewest texts that a word is in.")
    ngrams: Whole = Field(default=1, le=5, description="Also sequences of up to so many words.")


class DateParts(Section):
    """Times become numbers, a column a part."""

    parts: Parts = Field(
        default=("year", "month", "day", "weekday", "hour"),
        min_length=1,
        description=f"Of {', '.join(DATE_PARTS)}; weekday 0 is Monday.",
    )
    unit: Literal["s", "ms", "us"] = Field(default="s", description="Of numbers: since 1970, UTC.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"parts": value} if isinstance(value, (list, tuple)) else value


class Normalize(Section):
    """Channels of an image: less their mean, through their standard deviation."""

    mean: tuple[Number, ...] | None = Field(
        default=None, description="A number a channel; left out: of the train split."
    )
    sd: tuple[Number, ...] | None = Field(
        default=None, description="A number a channel; left out: of the train split."
    )

    @model_validator(mode="after")
    def _both(self) -> "Normalize":
        if (self.mean is None) != (self.sd is None):
            raise fault("`normalize` takes `mean` and `sd`, or neither")
        if self.mean and self.sd and len(self.mean) != len(self.sd):
            raise fault("`mean` and `sd` of `normalize` have another number of channels", key="sd")
        return self


_WITH_DEFAULTS = ("one_hot", "ordinal", "embed_index", "tokenize", "tf_idf", "date_parts", "normalize")
BARE_WORDS = ("standardize", "min_max", "log1p", "cross", "lower", "strip", *_WITH_DEFAULTS)
"""Transforms that may stand without a setting."""
TRANSFORMS = (
    "impute",
    "standardize",
    "min_max",
    "log1p",
    "clip",
    "bucketize",
    "one_hot",
    "ordinal",
    "hash",
    "cross",
    "embed_index",
    "lower",
    "strip",
    "tokenize",
    "tf_idf",
    "date_parts",
    "resize",
    "scale",
    "normalize",
)


class Apply(Section):
    """One transform: a word such as `standardize`, or a word with its setting such as `bucketize: 10`."""

    impute: Impute | None = Field(
        default=None, description="What missing values become: `mean`, `median`, `most_frequent`, `zero`."
    )
    standardize: Literal[True] | None = Field(default=None, description="Mean 0 and standard deviation 1.")
    min_max: Literal[True] | None = Field(default=None, description="Smallest value 0, largest 1.")
    log1p: Literal[True] | None = Field(default=None, description="Logarithm of 1 plus the number.")
    clip: Clip | None = Field(default=None, description="Limits for numbers.")
    bucketize: Bucketize | None = Field(
        default=None, description="Buckets of as many rows each, `10`, or with edges, `[0, 10, 20]`."
    )
    one_hot: Categories | None = Field(default=None, description="One column a category.")
    ordinal: Categories | None = Field(
        default=None, description="A number a category, the most frequent is 0."
    )
    hash: Whole | None = Field(default=None, description="Categories, or words, hashed into so many buckets.")
    cross: Literal[True] | None = Field(
        default=None,
        description="The columns of this entry together as one category; next `hash` or `one_hot`.",
    )
    embed_index: EmbedIndex | None = Field(
        default=None, description="A whole number a category, for an embedding table: an input of its own."
    )
    lower: Literal[True] | None = Field(default=None, description="Lower-case letters.")
    strip: Literal[True] | None = Field(
        default=None, description="No spaces at both ends, and single ones between words."
    )
    tokenize: Tokenize | None = Field(
        default=None, description="Words; next `tf_idf`, `hash` or `embed_index`."
    )
    tf_idf: TfIdf | None = Field(default=None, description="One column a word, weighted by how rare it is.")
    date_parts: DateParts | None = Field(
        default=None, description="Parts of a time (ISO 8601, or a number since 1970): `[weekday, hour]`."
    )
    resize: Annotated[tuple[Whole, Whole], Field()] | None = Field(
        default=None, description="Height and width of an image, such as `[32, 32]`."
    )
    scale: Number | None = Field(default=None, description="Numbers, or pixels, times this.")
    normalize: Normalize | None = Field(
        default=None, description="Channels of an image with mean 0 and standard deviation 1."
    )

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {value: {} if value in _WITH_DEFAULTS else True}
        return value

    @model_validator(mode="after")
    def _one(self) -> "Apply":
        require_one(self, TRANSFORMS, "a transform")
        return self

    @property
    def word(self) -> str:
        """Which transform it is."""
        return next(word for word in TRANSFORMS if getattr(self, word) is not None)


class Transform(Section):
    """Transforms of some columns, in order, or a function that returns an ONNX graph."""

    columns: tuple[Text, ...] = Field(min_length=1, description="Columns to transform.")
    apply: tuple[Apply, ...] | None = Field(default=None, min_length=1, description="Transforms in order.")
    call: Call | None = Field(
        default=None,
        description="Function that is given `columns` (name to array of the train split) and `params`, and returns "
        "an ONNX model whose inputs are the columns.",
    )
    with_: Free = Field(default_factory=dict, alias="with", description="Parameters of `call`.")

    @model_validator(mode="after")
    def _distinct(self) -> "Transform":
        if len(set(self.columns)) < len(self.columns):
            raise fault("a column is named twice", key="columns")
        require_one(self, ("apply", "call"), "an entry of `transform`")
        if self.with_ and self.call is None:
            raise fault("`with` goes with `call`", key="with")
        return self
