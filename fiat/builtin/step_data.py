"""Step `data`: fetch, read, split, and write the dataset format."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from fiat.builtin.source_dvc import DvcSource
from fiat.builtin.source_path import GlobSource, PathSource
from fiat.builtin.source_url import UrlSource, url_items
from fiat.builtin.step_data_split import split_columns, split_rule, wanted_splits
from fiat.data.archive import is_archive
from fiat.data.columns import ColumnChoice
from fiat.data.formats import data_files, format_of
from fiat.data.layout import layout_of
from fiat.data.read import read_files
from fiat.data.stream import Reading, ReadOptions, SourceFile
from fiat.data.write import Written, write_dataset
from fiat.errors import SpecError
from fiat.ports.confinement import Confinement
from fiat.ports.source import Fetched, Source, SourceRequest
from fiat.ports.step import StepContext, StepOutcome

_MAX_BYTES = 10 * 1024**3
_NOT_BUILT = ("span", "schema", "checks")
_LABELLED = ("idx", "images")
_SHOWN_CLASSES = 5


class DataStep:
    """Makes the output `dataset` from what `data.<name>` of the spec says.

    Args:
        sources: source kind to plugin; None for the built-in ones.
    """

    name = "data"
    version = "1"
    packages = ("pyarrow", "pillow")

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        built_in: tuple[Source, ...] = (PathSource(), GlobSource(), UrlSource(), DvcSource())
        self._sources = {source.name: source for source in built_in} if sources is None else dict(sources)

    def run(self, context: StepContext) -> StepOutcome:
        """Do the work.

        Raises:
            SpecError: the source is not there or not granted, a file is damaged, a column or label is missing, a row
                falls into no split.
            EnvironmentFault: network, disk, or a library is missing.
        """
        params = context.params
        for key in _NOT_BUILT:
            if params.get(key):
                raise SpecError(f"`{key}` of data is not built yet", hint=f"leave out `{key}`")
        download_dir = context.work_dir / "source"
        shutil.rmtree(download_dir, ignore_errors=True)
        download_dir.mkdir()
        settings = _mapping(params.get("source"))
        kind = next((kind for kind in self._sources if settings.get(kind)), None)
        if kind is None:
            named = ", ".join(settings) or "nothing"
            raise SpecError(
                f"source of {named} is not built yet", hint=f"use one of {', '.join(self._sources)}"
            )
        fetched = self._sources[kind].fetch(_request(context, settings, download_dir))
        files = name_files(fetched.files, context.root, download_dir)
        format_name = str(params.get("format") or format_of(files))
        chosen = files if _names_files(kind, settings) else data_files(files, format_name)
        choice = _choice(params)
        reading = read_files(chosen, _options(params, format_name, choice))
        if choice.label is None and format_name in _LABELLED and "label" in reading.schema.names:
            choice = ColumnChoice("label", choice.features, choice.drop, choice.others)
        written = write_dataset(
            context.outputs["dataset"], reading, split_rule(params), choice, fetched.digest
        )
        shutil.rmtree(download_dir)
        used = set(chosen)
        ignored = [file.name for file in files if file not in used]
        facts = _facts(written, reading, fetched, format_name, len(chosen), ignored)
        return StepOutcome(facts=facts, warnings=_warnings(params, reading, written))


def name_files(paths: Sequence[Path], root: Path, download_dir: Path) -> list[SourceFile]:
    """Names for people that don't depend on the machine.

    Relative to the checkout, or to the download folder; files elsewhere from the name of their common folder on.
    """
    common = Path(os.path.commonpath([path.parent for path in paths]))
    named = []
    for path in paths:
        base = next((base for base in (download_dir, root) if path.is_relative_to(base)), None)
        inside = base is not None and ".." not in path.relative_to(base).parts
        named.append(
            SourceFile(path, path.relative_to(base if base and inside else common.parent).as_posix())
        )
    return named


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


def _options(params: Mapping[str, object], format_name: str, choice: ColumnChoice) -> ReadOptions:
    delimiter = params.get("delimiter")
    return ReadOptions(
        format=format_name,
        header=params.get("header", True) is not False,
        columns=_names(params.get("columns")),
        delimiter=None if delimiter is None else str(delimiter),
        loose=frozenset(choice.drop),
    )


def _facts(
    written: Written,
    reading: Reading,
    fetched: Fetched,
    format_name: str,
    n_files: int,
    ignored: Sequence[str],
) -> dict[str, object]:
    return {
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


def _warnings(params: Mapping[str, object], reading: Reading, written: Written) -> tuple[str, ...]:
    warnings = list(reading.notes)
    warnings += [f"split {split} has no rows" for split in wanted_splits(params) if not written.rows[split]]
    known = written.class_rows.get("train", {})
    for split in ("eval", "test"):
        unseen = [label for label in written.class_rows.get(split, {}) if label not in known]
        if unseen:
            more = ", ..." if len(unseen) > _SHOWN_CLASSES else ""
            shown = ", ".join(unseen[:_SHOWN_CLASSES]) + more
            warnings.append(f"{split} has labels that train does not have: {shown}")
    return tuple(warnings)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in value) if isinstance(value, (list, tuple)) else ()
