"""Which files of `data.<name>.span` are read: those of the spans that are wanted, each with the span that it belongs to."""

import difflib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from fiat.builtin.source_digest import digest_files, digest_stats
from fiat.data.confined import matching_files, named_path
from fiat.data.spans import SpanPattern, Use, pick_files, span_pattern, wanted_span
from fiat.data.stream import Piece, Reading, SourceFile, file_fault
from fiat.errors import SpecError
from fiat.ports.source import Fetched, SourceRequest

KEY = "span.pattern"
_MOST_NEAR = 5
_MOST_LISTED = 1000


@dataclass(frozen=True)
class SpanChoice:
    """Spans that are read.

    Attributes:
        spans: their names, oldest first.
        paths: each of their files to its span.
        whole: the pattern names files, so that none may be left out for its name.
        warnings: sentences about spans that people should know.
        files: the same as `paths` by the names that people call them.
        rows: span to its rows; filled while they are read.
    """

    spans: tuple[str, ...]
    paths: Mapping[Path, str]
    whole: bool
    warnings: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def named(self, files: Sequence[SourceFile]) -> "SpanChoice":
        """The same with the names that people call the files by.

        Raises:
            SpecError: a span without a file to read.
        """
        names = {file.name: self.paths[file.path] for file in files}
        for span in self.spans:
            if span not in names.values():
                raise SpecError(f"there is no data in span {span}", hint="add its files, or use other spans")
        return replace(self, files=names)

    def counted(self, reading: Reading) -> Reading:
        """The reading, with the rows of each span counted as they pass."""

        def pieces() -> Iterator[Piece]:
            self.rows.update(dict.fromkeys(self.spans, 0))
            for piece in reading.pieces():
                single = len(piece.files) == piece.batch.num_rows
                for name in piece.files if single else piece.files[:1]:
                    self.rows[self.files[name]] += 1 if single else piece.batch.num_rows
                yield piece

        return replace(reading, pieces=pieces)

    def blame(self, error: SpecError) -> SpecError:
        """The fault of a file, with its span."""
        span = self.files.get(error.where.file) if error.where else None
        if span is None or type(error) is not SpecError:
            return error
        return SpecError(f"span {span}: {error.message}", hint=error.hint, where=error.where)

    def check_rows(self) -> None:
        """See that each span had rows.

        Raises:
            SpecError: one had none.
        """
        for span in self.spans:
            if not self.rows.get(span):
                file = next(name for name, other in self.files.items() if other == span)
                raise file_fault(file, f"there is no data in span {span}", hint="fill it, or use other spans")


def span_files(request: SourceRequest, params: Mapping[str, object]) -> tuple[Fetched, SpanChoice]:
    """The files of the spans that are wanted, for a span of the checkout or below `source.path`.

    Raises:
        SpecError: no path fits the pattern, the span that is wanted is not there, or it is not granted.
        EnvironmentFault: a file can't be read.
    """
    chosen, choice = _find(request, params)
    policy = request.confinement
    size = sum(path.stat().st_size for path in chosen)
    if policy.confined and size > request.max_bytes:
        raise SpecError(f"span: it has {size:,} bytes, more than the {request.max_bytes:,} allowed")
    base = Path(os.path.commonpath([path.parent for path in chosen]))
    return Fetched(tuple(chosen), digest_files(chosen, base)), choice


def fetched_spans(fetched: Fetched, folder: Path, params: Mapping[str, object]) -> tuple[Fetched, SpanChoice]:
    """Those of the files that a source gave that belong to the spans that are wanted.

    Args:
        fetched: what the source gave.
        folder: that the pattern begins at.
        params: of the step.

    Raises:
        SpecError: no file fits the pattern, or the span that is wanted is not there.
    """
    text, use = wanted_span(params.get("span"))
    pattern = span_pattern(text)
    names = {_name(path, folder): path for path in fetched.files}
    nearest = difflib.get_close_matches(text, list(names), _MOST_NEAR, 0.0)
    chosen, choice = _choose(pattern, names, use, lambda: nearest)
    return Fetched(tuple(chosen), digest_files(chosen, folder)), choice


class SpanSource:
    """`span`: the files of some spans of the checkout, or of a folder that is granted.

    It stands for what `data.<name>.span` says where there is no source but perhaps `path`; its settings are these two.
    """

    name = "span"
    version = "1"

    def fetch(self, request: SourceRequest) -> Fetched:
        """Find the files of the spans that are wanted; see `span_files`.

        Raises:
            SpecError: see `span_files`.
            EnvironmentFault: a file can't be read.
        """
        return span_files(request, request.settings)[0]

    def probe(self, request: SourceRequest) -> str:
        """Names, sizes and times of the files of the spans that are wanted; empty for those of a checkout.

        Raises:
            SpecError: see `span_files`.
            EnvironmentFault: a file is gone meanwhile.
        """
        text, _ = wanted_span(request.settings.get("span"))
        if not (PurePosixPath(str(request.settings.get("path") or "")) / text).is_absolute():
            return ""
        files, _ = _find(request, request.settings)
        return digest_stats(files, Path(os.path.commonpath([path.parent for path in files])))


def _find(request: SourceRequest, params: Mapping[str, object]) -> tuple[list[Path], SpanChoice]:
    text, use = wanted_span(params.get("span"))
    folder = str(request.settings.get("path") or "")
    pattern = span_pattern(str(PurePosixPath(folder) / text))
    policy, root = request.confinement, request.root
    found = matching_files(pattern.glob(), root, policy, KEY)
    found += matching_files(f"{pattern.glob()}/**", root, policy, KEY)
    names = {_name(path, root): path for path in found}
    return _choose(pattern, names, use, lambda: _near(pattern, request))


def _choose(
    pattern: SpanPattern, names: Mapping[str, Path], use: Use, nearest: Callable[[], list[str]]
) -> tuple[list[Path], SpanChoice]:
    found = pick_files(pattern, names, use)
    if not found.spans:
        close = nearest()
        hint = f"the nearest are {', '.join(close)}" if close else "nothing lies there"
        raise SpecError(f"span.pattern: nothing matches {pattern.text}", hint=hint)
    warnings = [f"{path} fits the pattern of spans, but its date is none" for path in found.odd]
    if use.last is not None and len(found.spans) < use.last:
        warnings.append(f"only {len(found.spans)} of the last {use.last} spans are there")
    paths = {names[name]: span for name, span in found.files.items()}
    return list(paths), SpanChoice(found.spans, paths, found.whole, tuple(warnings))


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


def _near(pattern: SpanPattern, request: SourceRequest) -> list[str]:
    """Files that lie where the pattern begins and whose names are like it."""
    parts = PurePosixPath(pattern.text).parts
    fixed = next(index for index, part in enumerate(parts) if set(part) & set("{*?"))
    folder = named_path(str(PurePosixPath(*parts[:fixed])), request.root, request.confinement, KEY)
    try:
        found = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return []
    close = difflib.get_close_matches(parts[fixed], found[:_MOST_LISTED], _MOST_NEAR, 0.0)
    return [str(PurePosixPath(*parts[:fixed], name)) for name in close]
