"""Step `data`: fetch, read, sample, split, and write the dataset format."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fiat.builtin.source_bucket import AzSource, GsSource, S3Source
from fiat.builtin.source_digest import digest_files
from fiat.builtin.source_dvc import DvcSource
from fiat.builtin.source_path import GlobSource, PathSource
from fiat.builtin.source_sql import SqlSource
from fiat.builtin.source_url import UrlSource, url_items
from fiat.builtin.step_data_facts import Made, made_facts, made_warnings
from fiat.builtin.step_data_schema import declared_types, schema_of
from fiat.builtin.step_data_span import SpanChoice, fetched_spans, span_files
from fiat.builtin.step_data_split import sample_rule, split_columns, split_rule
from fiat.data.archive import is_archive
from fiat.data.columns import ColumnChoice
from fiat.data.confined import folder_files
from fiat.data.derive import derive_columns
from fiat.data.formats import data_files, format_of
from fiat.data.read import read_files
from fiat.data.sample import sample_rows
from fiat.data.stream import ReadOptions, SourceFile, bounded
from fiat.data.write import write_dataset
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, Source, SourceRequest
from fiat.ports.step import StepContext, StepOutcome

_MAX_BYTES = 10 * 1024**3
_NO_SPANS = ("glob", "sql")
_SPAN_HINT = "leave out `source`, or let it name a folder"
_LABELLED = ("idx", "images")


@dataclass(frozen=True)
class _Found:
    """Files to read, and whether the spec names each of them, so that none may be left out for its name."""

    fetched: Fetched
    files: list[SourceFile]
    whole: bool
    spans: SpanChoice | None = None


class DataStep:
    """Makes the output `dataset` from what `data.<name>` of the spec says.

    Input `source`, where the source is a `call:` the folder that the function made. Rows are read with the types of
    `schema`, sampled, then split.

    Args:
        sources: source kind to plugin; None for the built-in ones.
    """

    name = "data"
    version = "2"
    packages = ("duckdb", "pyarrow", "pillow")

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        built_in: tuple[Source, ...] = (
            PathSource(),
            GlobSource(),
            UrlSource(),
            DvcSource(),
            S3Source(),
            GsSource(),
            AzSource(),
            SqlSource(),
        )
        self._sources = {source.name: source for source in built_in} if sources is None else dict(sources)

    def run(self, context: StepContext) -> StepOutcome:
        """Do the work.

        Raises:
            SpecError: the source is not there or not granted, a file is damaged, a column or label is missing, a row
                falls into no split.
            EnvironmentFault: network, disk, or a library is missing.
        """
        params = context.params
        download_dir = context.work_dir / "source"
        shutil.rmtree(download_dir, ignore_errors=True)
        download_dir.mkdir()
        found = self._find(context, download_dir)
        format_name = str(params.get("format") or format_of(found.files))
        chosen = found.files if found.whole else data_files(found.files, format_name)
        spans = found.spans.named(chosen) if found.spans else None
        choice = _choice(params)
        types, tolerant = declared_types(schema_of(params, context.root, Confinement.of(context.facts)))
        options = _options(params, format_name, choice, types, tolerant)
        output = context.outputs["dataset"]
        try:
            made = _make(output, chosen, options, params, choice, found, spans, _most_bytes(context))
        except SpecError as error:
            raise (spans.blame(error) if spans else error) from error
        shutil.rmtree(download_dir)
        used = set(chosen)
        ignored = [file.name for file in found.files if file not in used]
        facts = made_facts(made, found.fetched, format_name, len(chosen), ignored)
        return StepOutcome(facts=facts, warnings=made_warnings(params, made))

    def _find(self, context: StepContext, folder: Path) -> _Found:
        """The files to read, with their names for people."""
        params, settings = context.params, _mapping(context.params.get("source"))
        request = _request(context, settings, folder)
        given = next(iter(context.inputs.values()), None) if settings.get("call") else None
        with_span = bool(params.get("span"))
        spans, bases = None, [folder, *([given] if given else [])]
        if with_span and set(settings) <= {"path"}:
            fetched, spans = span_files(request, params)
            return _Found(fetched, name_files(fetched.files, context.root, *bases), spans.whole, spans)
        if given is not None:
            fetched, kind = _made_files(given), "call"
        else:
            kind = self._kind(settings)
            if with_span and kind in _NO_SPANS:
                raise SpecError(f"`span` goes with files of a folder, not with `{kind}`", hint=_SPAN_HINT)
            fetched = self._sources[kind].fetch(request)
        whole = _names_files(kind, settings)
        if with_span:
            start = _start(fetched, *bases)
            fetched, spans = fetched_spans(fetched, start, params)
            whole = spans.whole
        return _Found(fetched, name_files(fetched.files, context.root, *bases), whole, spans)

    def _kind(self, settings: Mapping[str, object]) -> str:
        kind = next((kind for kind in self._sources if settings.get(kind)), None)
        if kind is None:
            named = ", ".join(settings) or "nothing"
            raise SpecError(
                f"source of {named} is not built yet", hint=f"use one of {', '.join(self._sources)}"
            )
        return kind


def _most_bytes(context: StepContext) -> int | None:
    """How much a stranger's rows may take; None on a desk, whose disk is its user's."""
    if not Confinement.of(context.facts).confined:
        return None
    max_bytes = context.facts.get("max_bytes")
    return max_bytes if isinstance(max_bytes, int) else _MAX_BYTES


def _make(
    output: Path,
    files: Sequence[SourceFile],
    options: ReadOptions,
    params: Mapping[str, object],
    choice: ColumnChoice,
    found: _Found,
    spans: SpanChoice | None,
    most_bytes: int | None,
) -> Made:
    """Read, sample, split and write."""
    expressions = {name: str(text) for name, text in _mapping(params.get("derive")).items()}
    found_rows = read_files(files, options)
    reading = derive_columns(bounded(found_rows, most_bytes) if most_bytes else found_rows, expressions)
    if choice.label is None and options.format in _LABELLED and "label" in reading.schema.names:
        choice = ColumnChoice("label", choice.features, choice.drop, choice.others)
    counted = spans.counted(reading) if spans else reading
    rule = sample_rule(params)
    sampled = sample_rows(counted, rule) if rule else None
    rows = sampled.reading if sampled else counted
    written = write_dataset(output, rows, split_rule(params), choice, found.fetched.digest)
    if spans:
        spans.check_rows()
    return Made(written, reading, sampled.count if sampled else None, spans, options.types)


def name_files(paths: Sequence[Path], root: Path, *folders: Path) -> list[SourceFile]:
    """Names for people that don't depend on the machine.

    Relative to one of the folders (downloads, what another step made), or to the checkout; files elsewhere from the
    name of their common folder on.
    """
    common = Path(os.path.commonpath([path.parent for path in paths]))
    named = []
    for path in paths:
        base = next((base for base in (*folders, root) if path.is_relative_to(base)), None)
        inside = base is not None and ".." not in path.relative_to(base).parts
        named.append(
            SourceFile(path, path.relative_to(base if base and inside else common.parent).as_posix())
        )
    return named


def _made_files(folder: Path) -> Fetched:
    """What the function of a `call` source made.

    Raises:
        SpecError: it made no file, or a link that leads out of its folder.
    """
    files = folder_files(folder, folder, Confinement(confined=True), "source.call")
    if not files:
        raise SpecError(
            "source.call: the function made no files", hint="write them to the folder it is given"
        )
    return Fetched(tuple(files), digest_files(files, folder))


def _start(fetched: Fetched, *folders: Path) -> Path:
    """The folder that the names of fetched files begin at."""
    common = Path(os.path.commonpath([path.parent for path in fetched.files]))
    return next((folder for folder in folders if common.is_relative_to(folder)), common)


def _request(context: StepContext, settings: Mapping[str, object], folder: Path) -> SourceRequest:
    max_bytes = context.facts.get("max_bytes")
    env = {str(name): str(value) for name, value in _mapping(context.facts.get("env")).items()}
    return SourceRequest(
        settings=settings,
        root=context.root,
        folder=folder,
        allow_private_hosts=context.facts.get("allow_private_hosts") is True,
        max_bytes=max_bytes if isinstance(max_bytes, int) else _MAX_BYTES,
        env=env,
        confinement=Confinement.of(context.facts),
    )


def _names_files(kind: str, settings: Mapping[str, object]) -> bool:
    """Whether the spec names each file, so that none may be left out for its name."""
    if kind == "url":
        return not any(is_archive(url.partition("?")[0]) for url, _ in url_items(settings))
    return kind == "glob"


def _choice(params: Mapping[str, object]) -> ColumnChoice:
    features, drop = params.get("features"), _names(params.get("drop"))
    label = params.get("label")
    return ColumnChoice(
        label=None if label is None else str(label),
        features=None if features is None else _names(features),
        drop=drop,
        others=split_columns(params),
    )


def _options(
    params: Mapping[str, object],
    format_name: str,
    choice: ColumnChoice,
    types: Mapping[str, str],
    tolerant: frozenset[str],
) -> ReadOptions:
    delimiter = params.get("delimiter")
    return ReadOptions(
        format=format_name,
        header=params.get("header", True) is not False,
        columns=_names(params.get("columns")),
        delimiter=None if delimiter is None else str(delimiter),
        loose=frozenset(choice.drop),
        types=types,
        tolerant=tolerant,
    )


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, (list, tuple)) else ()
