"""The way in: a spec's file to a validated `Spec`, every fault at once and each at its place."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fiat.errors import SpecError, SpecErrors, Where
from fiat.spec.coherence import find_contradictions
from fiat.spec.complaints import explain
from fiat.spec.compose import compose
from fiat.spec.files import DiskFiles, SpecFiles, find_root, spec_file
from fiat.spec.interpolate import resolve
from fiat.spec.language import is_free
from fiat.spec.model import Spec
from fiat.spec.repair import repair
from fiat.spec.tree import KeyPath, Node, format_path, locate, parse_path, walk

__all__ = ["LoadedSpec", "find_root", "load_spec", "spec_file"]


@dataclass(frozen=True)
class LoadedSpec:
    """A spec that is valid, with what it was made of.

    Attributes:
        spec: the validated model.
        config: the composed spec with references resolved, JSON values, without defaults of the language.
        digest: SHA-256 of `config` as canonical JSON, 64 hex digits; the order of keys does not change it.
        files: every file that was read, the spec's own first.
        path: the spec's own file, as given.
        dir: its folder relative to the checkout root, `.` at the root.
        overrides: as typed.
    """

    spec: Spec
    config: Mapping[str, object]
    digest: str
    files: tuple[Path, ...]
    path: Path
    dir: str
    overrides: tuple[str, ...]
    _tree: Node = field(repr=False, compare=False)

    def where(self, key_path: str) -> Where:
        """The place of a key path such as `gates[1].metric`, or the nearest place above it."""
        return locate(self._tree, parse_path(key_path))


def load_spec(
    path: Path,
    *,
    root: Path,
    overrides: Sequence[str] = (),
    builtins: Mapping[str, str],
    files: SpecFiles | None = None,
) -> LoadedSpec:
    """Read, compose, resolve and validate a spec. Runs nothing that the spec names.

    Args:
        path: the spec's file, see `spec_file`.
        root: the checkout, see `find_root`; nothing outside it is read.
        overrides: as typed on the command line, such as `params.lr=0.01`.
        builtins: values for `${commit}` and `${ref}`; `${dir}` is known from the path.
        files: where it is read from; left out: the checkout as it is on disk.

    Raises:
        SpecErrors: every fault that was found, in the order of their places.
    """
    try:
        composed = compose(path, files=files or DiskFiles(root), overrides=overrides)
    except SpecErrors:
        raise
    except SpecError as error:
        raise SpecErrors([error]) from None
    folder = Path(composed.shown).parent.as_posix()
    config, unresolved, bad = resolve(composed.tree, {"dir": folder, **builtins})
    errors = composed.errors + unresolved
    errors += list(_drop_nothings(composed.tree, config, bad))
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(config)
    except ValidationError as error:
        errors += explain(error, composed.tree, bad)
        spec = None if bad else repair(config, error)
    if spec is not None and not bad:
        errors += [
            SpecError(found.message, hint=found.hint, where=locate(composed.tree, found.path))
            for found in find_contradictions(spec)
        ]
    if errors or spec is None:
        raise SpecErrors(sorted(errors, key=lambda error: _order(error, composed.shown)))
    found = composed.files
    return LoadedSpec(spec, config, digest(config), found, path, folder, tuple(overrides), composed.tree)


def digest(config: Mapping[str, object]) -> str:
    """SHA-256 of JSON values in canonical form: sorted keys, no spaces, UTF-8."""
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _drop_nothings(tree: Node, config: dict[str, Any], bad: set[KeyPath]) -> Iterator[SpecError]:
    """Take out keys without a value and report each: silence would let a half-written file pass."""
    found = [
        (path, node.empty)
        for path, node in walk(tree)
        if node.value is None and path and (node.empty or not is_free(path))
    ]
    for path, empty in found:
        message = f"`{format_path(path[-1:])}` has no value" if empty else "null is not allowed here"
        hint = "write its value, or take the key out"
        yield SpecError(message, hint=hint, where=locate(tree, path, key=empty))
        bad.add(path)
        holder: Any = config
        for part in path[:-1]:
            holder = holder[part]
        if isinstance(holder, dict):
            holder.pop(path[-1], None)


def _order(error: SpecError, first_file: str) -> tuple[bool, str, int, int]:
    where = error.where or Where("")
    return (where.file != first_file, where.file, where.line, where.column)
