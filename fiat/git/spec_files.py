"""Which files of a commit a runner reads as specs: regular ones, small, with names that people can read."""

import re
from collections.abc import Iterator, Mapping, Sequence

from fiat.errors import SpecError, SpecErrors, Where
from fiat.git.entries import Blob
from fiat.git.names import fault_of_path
from fiat.git.patterns import any_of
from fiat.git.words import show_path

MAX_BYTES = 256 * 1024
MAX_FILES = 10_000
# Spaces are fine; control and direction characters, line ends, backslashes, and bytes that are no UTF-8 are not.
_ODD = re.compile(r"[\\\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def choose_specs(files: Mapping[str, Blob], patterns: Sequence[str]) -> tuple[str, ...]:
    """Paths of the files that the patterns mean, sorted; their sizes are looked at by `Mirror.spec_files`.

    Args:
        files: of a commit.
        patterns: such as `**/spec.yaml`.

    Raises:
        SpecErrors: a symlink, a submodule, a path with characters that hide what it is, one that only differs in capitals
            from what a pattern means, or too many; each with its file.
    """
    exact, loose = any_of(patterns), any_of(text.casefold() for text in patterns)
    chosen = sorted(path for path in files if exact(path))
    errors = list(_faults(files, chosen))
    errors += [
        SpecError(
            f"{show_path(path)} is spelled with other capitals than specs have here",
            where=Where(show_path(path)),
        )
        for path in files
        if loose(path.casefold()) and not exact(path)
    ]
    if len(chosen) > MAX_FILES:
        errors = [SpecError(f"the commit has {len(chosen):,} specs, at most {MAX_FILES:,} are read")]
    if errors:
        raise SpecErrors(errors)
    return tuple(chosen)


def too_large(path: str, size_bytes: int) -> SpecError:
    """The error for a spec of too many bytes."""
    message = f"the file has {size_bytes:,} bytes, at most {MAX_BYTES:,} are read"
    return SpecError(message, where=Where(show_path(path)))


def check_spec_path(path: str) -> None:
    """See that a path says what it is.

    Raises:
        SpecError: it leads outside, or holds characters that hide what it is.
    """
    shown = show_path(path)
    fault = fault_of_path(path)
    if fault:
        raise SpecError(f"the path {shown[:200]} {fault}", where=Where(shown))
    if _ODD.search(path):
        raise SpecError(f"the path {path[:200]!a} holds control or direction characters", where=Where(shown))


def fault_of_entry(path: str, blob: Blob) -> str:
    """Why a spec can't be read from an entry; empty when it can."""
    if blob.is_link:
        return f"{path} is a symlink, which a spec can't be read through"
    if blob.is_submodule:
        return f"{path} is another repository (a submodule)"
    return "" if blob.is_file else f"{path} is not a regular file"


def _faults(files: Mapping[str, Blob], chosen: Sequence[str]) -> Iterator[SpecError]:
    for path in chosen:
        try:
            check_spec_path(path)
        except SpecError as error:
            yield error
            continue
        fault = fault_of_entry(path, files[path])
        if fault:
            yield SpecError(fault, where=Where(path))
