"""The section `data`: where it comes from, how it is read and split, what must hold of it."""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, model_validator

from fiat.spec.check_section import Check
from fiat.spec.section import (
    EXPECTED,
    FILE_PATTERN,
    SHA256_PATTERN,
    Amount,
    Call,
    FileName,
    Flag,
    Free,
    Integer,
    Ratio,
    Section,
    Sha256,
    Text,
    Variable,
    Whole,
    chosen,
    fault,
    require_one,
)

SOURCE_KINDS = ("path", "glob", "url", "dvc", "s3", "gs", "az", "sql", "call")
_COMPANIONS = {
    "sha256": ("url",),
    "repo": ("dvc",),
    "rev": ("dvc",),
    "remote": ("dvc",),
    "connection": ("sql",),
    "with_": ("call",),
    "endpoint": ("s3", "gs", "az"),
    "anonymous": ("s3", "gs", "az"),
}


def _digests(value: Any) -> Any:
    """One digest, or a digest for each file: checked by hand, so that errors stay at the key that is wrong."""
    found = value if isinstance(value, dict) else {"": value}
    if not found:
        raise fault("expected a digest for each file")
    for name, digest in found.items():
        if isinstance(value, dict) and not re.fullmatch(FILE_PATTERN, name):
            raise fault(f"expected {EXPECTED[FILE_PATTERN]}, found `{name}`", key=name)
        if not isinstance(digest, str) or not re.fullmatch(SHA256_PATTERN, digest):
            hint = "" if isinstance(digest, str) else "quote it if it is all digits"
            raise fault(f"expected {EXPECTED[SHA256_PATTERN]}", key=name, hint=hint)
    return value


Digests = Annotated[
    str | dict[str, str],
    PlainValidator(_digests, json_schema_input_type=Sha256 | dict[FileName, Sha256]),
]


def _pattern_or_share(value: Any) -> Any:
    """Checked by hand, so that one error stands at the key instead of one for each type."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return value
    raise fault(f"expected a pattern of files, or a share above 0 and below 1, found `{value}`")


PatternOrShare = Annotated[
    str | float,
    PlainValidator(_pattern_or_share, json_schema_input_type=Text | Annotated[float, Field(gt=0, lt=1)]),
]
Format = Literal["csv", "parquet", "jsonl", "arrow", "npy", "idx", "images", "text"]


class Source(Section):
    """Where data comes from: one of path, glob, url, dvc, s3, gs, az, sql and call."""

    path: Text | None = Field(default=None, description="File or folder, relative to the checkout root.")
    glob: Text | None = Field(
        default=None, description="Files of the checkout by pattern, such as `data/*.csv`."
    )
    url: Text | None = Field(
        default=None, description="Address of a file over HTTP or HTTPS, or of a folder, ending in `/`."
    )
    sha256: Digests | None = Field(
        default=None,
        description="SHA-256 of the file; for a folder, a mapping of its files to their SHA-256.",
    )
    dvc: Text | None = Field(default=None, description="A `.dvc` file, or a path that DVC tracks in `repo`.")
    repo: Text | None = Field(default=None, description="Git repository for `dvc`; left out: this checkout.")
    rev: Text | None = Field(default=None, description="Commit, tag or branch of `repo`.")
    remote: Text | None = Field(default=None, description="DVC remote to pull from; left out: its default.")
    s3: Text | None = Field(default=None, description="`bucket/key` in Amazon S3 or a store like it.")
    gs: Text | None = Field(default=None, description="`bucket/key` in Google Cloud Storage.")
    az: Text | None = Field(default=None, description="`container/key` in Azure Blob Storage.")
    endpoint: Text | None = Field(
        default=None,
        description="Address of a store that speaks like that of `s3`, `gs` or `az`; of Azure's own: that of the account.",
    )
    anonymous: Flag = Field(default=False, description="Ask `s3`, `gs` or `az` without credentials.")
    sql: Text | None = Field(default=None, description="Query whose rows are the data.")
    connection: Variable | None = Field(
        default=None, description="Secret that holds the database's URL for `sql`."
    )
    call: Call | None = Field(
        default=None, description="Function that makes the data, `package.module:function`."
    )
    with_: Free = Field(default_factory=dict, alias="with", description="Arguments of `call`.")

    @model_validator(mode="after")
    def _one_kind(self) -> "Source":
        kind = require_one(self, SOURCE_KINDS, "a source")
        for companion, kinds in _COMPANIONS.items():
            if getattr(self, companion) and kind not in kinds:
                key = companion.rstrip("_")
                raise fault(f"`{key}` goes with `{kinds[0]}`, not with `{kind}`", key=key)
        if kind == "url" and not str(self.url).startswith(("https://", "http://")):
            raise fault("expected an address that starts with https:// or http://", key="url")
        if kind == "url" and str(self.url).endswith("/") != isinstance(self.sha256, dict):
            hint = "sha256: {train.csv: <digest>, ...}"
            raise fault("a folder ends in `/` and needs a mapping of files to digests", key="url", hint=hint)
        if self.endpoint and not self.endpoint.startswith(("https://", "http://")):
            raise fault("expected an address that starts with https:// or http://", key="endpoint")
        return self

    @property
    def kind(self) -> str:
        """Which kind of source it is, such as `path`."""
        return chosen(self, SOURCE_KINDS)[0]


class SplitFiles(Section):
    """Which files make which split."""

    train: Text = Field(description="Pattern of the files to train on, within the source, such as `train-*`.")
    eval: PatternOrShare | None = Field(
        default=None,
        description="Pattern of the files to choose models by, or a share of the rows of `train`, such as `0.1`.",
    )
    test: Text | None = Field(default=None, description="Pattern of the files to judge by.")


class SplitTime(Section):
    """Splits by time: what is older trains, what is newest tests."""

    column: Text = Field(description="Column that holds the time.")
    eval: Text | None = Field(default=None, description="ISO 8601 time from which rows are `eval`.")
    test: Text = Field(description="ISO 8601 time from which rows are `test`.")


class Split(Section):
    """How rows fall into train, eval and test: by shares, by a column, by files or by time."""

    train: Amount | None = Field(
        default=None, description="Share of rows to train on, relative to the others."
    )
    eval: Amount | None = Field(default=None, description="Share of rows to choose models by.")
    test: Amount | None = Field(default=None, description="Share of rows to judge by.")
    key: Text | None = Field(
        default=None,
        description="Column whose hash decides, so that rows stay in their split as data grows; "
        "left out: the hash of the whole row.",
    )
    column: Text | None = Field(default=None, description="Column that says `train`, `eval` or `test`.")
    files: SplitFiles | None = Field(default=None, description="Which files make which split.")
    time: SplitTime | None = Field(default=None, description="Splits by time.")

    @model_validator(mode="after")
    def _one_way(self) -> "Split":
        shares = [share for share in (self.train, self.eval, self.test) if share is not None]
        ways = chosen(self, ("column", "files", "time"))
        if shares and ways:
            raise fault(f"shares of train, eval and test can't stand beside `{ways[0]}`", key=ways[0])
        if len(ways) > 1:
            raise fault(f"a split takes only one of `{ways[0]}` and `{ways[1]}`", key=ways[1])
        if not shares and not ways:
            raise fault(
                "a split needs shares such as `train: 8, eval: 1, test: 1`, `column`, `files` or `time`"
            )
        if shares and not self.train:
            raise fault("a split needs a share of `train` above 0", key="train" if self.train == 0 else "")
        if self.key is not None and not shares:
            raise fault("`key` goes with shares of train, eval and test", key="key")
        return self


class SpanUse(Section):
    """Which spans to use: the last so many, the latest, or one."""

    last: Whole | None = Field(default=None, description="So many of the newest spans.")
    latest: Literal[True] | None = Field(default=None, description="The newest span only.")
    span: Text | None = Field(default=None, description="One span, such as `2024-05-01`.")

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"latest": True} if value == "latest" else {"span": value}
        if isinstance(value, int) and not isinstance(value, bool):
            return {"span": str(value)}
        return value

    @model_validator(mode="after")
    def _one(self) -> "SpanUse":
        require_one(self, ("last", "latest", "span"), "`use`")
        return self


class Span(Section):
    """Data that arrives in spans, a file or folder each."""

    pattern: Text = Field(
        description="Path with {YYYY}, {MM}, {DD} or {SPAN}, such as `data/{YYYY}-{MM}.parquet`."
    )
    use: SpanUse = Field(
        description="Which spans to use: `{last: 7}`, `latest`, or one such as `2024-05-01`."
    )


class Sample(Section):
    """Some rows only, the same ones each time: chosen by their hash."""

    ratio: Ratio | None = Field(default=None, gt=0, description="Share of the rows, above 0 and up to 1.")
    rows: Whole | None = Field(default=None, description="So many rows.")
    seed: Integer = Field(default=0, description="Another seed chooses other rows.")

    @model_validator(mode="after")
    def _one(self) -> "Sample":
        require_one(self, ("ratio", "rows"), "`sample`")
        return self


class DataSet(Section):
    """One dataset: its source, format, label and split."""

    source: Source | None = Field(default=None, description="Where it comes from; a `span` alone will do.")
    format: Format | None = Field(
        default=None, description="How it is written; left out: by the file's name."
    )
    label: Text | None = Field(default=None, description="Column to predict.")
    features: tuple[Text, ...] | None = Field(
        default=None, description="Columns that the model sees; left out: all but label, key and `drop`."
    )
    drop: tuple[Text, ...] = Field(default=(), description="Columns that the model does not see.")
    header: Flag = Field(default=True, description="Whether the first line of a CSV names its columns.")
    columns: tuple[Text, ...] | None = Field(
        default=None, description="Names of the columns of a CSV without header."
    )
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = Field(
        default=",", description="Character between the fields of a CSV."
    )
    derive: dict[Text, Text] = Field(
        default_factory=dict,
        description="New columns by SQL expressions over a row, such as `{big_tip: tips > 0.2 * fare}`: for label, "
        "split and slices; they are no features, which a served model would have to be given.",
    )
    split: Split | None = Field(default=None, description="How rows fall into train, eval and test.")
    sample: Sample | None = Field(default=None, description="Use some of the rows only.")
    environment: Text = Field(
        default="training",
        description="Which columns of the schema are expected: those of `training`, or of `serving`.",
    )
    span: Span | None = Field(default=None, description="Data that arrives in spans.")
    schema_: Text | None = Field(
        default=None,
        alias="schema",
        description="File with the columns' types and domains; left out: inferred.",
    )
    checks: tuple[Check, ...] = Field(default=(), description="What must hold of the data.")

    @model_validator(mode="after")
    def _consistent(self) -> "DataSet":
        if self.source is None and self.span is None:
            raise fault("a dataset needs a `source`", hint="such as `source: {path: data/train.csv}`")
        if self.columns is not None and self.header:
            raise fault(
                "`columns` names the columns of a CSV without header: set `header: false`", key="columns"
            )
        for name in self.features or ():
            if name in self.derive:
                raise fault(
                    f"`{name}` is derived, so it can't be a feature: a served model is not given it",
                    key="features",
                )
        if self.features is not None and self.drop:
            raise fault("give `features` or `drop`, not both", key="drop")
        return self
