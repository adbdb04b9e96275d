"""The spec's file, its `defaults` and the overrides become one tree, with the place of every value.

Hydra and what it pulls in are loaded only by specs and commands that use it.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fiat.errors import SpecError
from fiat.spec.files import SpecFiles
from fiat.spec.tree import Node, locate, walk
from fiat.spec.yaml_events import parse

FORBIDDEN_KEYS = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")


class Composed(NamedTuple):
    """A spec before its references are resolved.

    Attributes:
        tree: the whole, with `defaults` taken out.
        files: every file that was read, the spec's own first.
        shown: how the spec's own file is called in errors.
        errors: faults of overrides and forbidden keys; the tree is without those overrides.
    """

    tree: Node
    files: tuple[Path, ...]
    shown: str
    errors: list[SpecError]


def compose(path: Path, *, files: SpecFiles, overrides: Sequence[str] = ()) -> Composed:
    """Read a spec with everything that its `defaults` and the overrides bring in.

    Args:
        path: the spec's file.
        files: where it is read from.
        overrides: as typed: `key=value`, `+key=value`, `++key=value`, `~key`, `group=option`.

    Raises:
        SpecError: one of the files can't be read or composed.
    """
    content, shown = files.read(path)
    tree = parse(content, shown)
    found: tuple[Path, ...] = (path,)
    changes: list[Any] = []
    groups: list[Any] = []
    errors: list[SpecError] = []
    if overrides:
        reader = importlib.import_module("fiat.spec.overrides")
        changes, errors = reader.parse_overrides(overrides)
        groups = [change for change in changes if names_group(change.key, path.parent, files)]
    if groups or "defaults" in (tree.value if isinstance(tree.value, dict) else {}):
        composer = importlib.import_module("fiat.spec.hydra_compose")
        tree, found = composer.compose_groups(tree, path, files=files, choices=groups)
    values = [change for change in changes if change not in groups]
    if values:
        tree, missed = importlib.import_module("fiat.spec.overrides").apply_overrides(tree, values)
        errors += missed
    return Composed(tree, found, shown, errors + _forbidden_keys(tree))


def names_group(key: str, folder: Path, files: SpecFiles) -> bool:
    """Whether an override's key is a folder of YAML files beside the spec, so that its value is a choice."""
    if not key or not all(part.replace("-", "").replace("_", "").isalnum() for part in key.split("/")):
        return False
    return bool(files.options(folder / key))


def _forbidden_keys(tree: Node) -> list[SpecError]:
    return [
        SpecError(f"the key `{path[-1]}` is not allowed anywhere", where=locate(tree, path, key=True))
        for path, _ in walk(tree)
        if path and path[-1] in FORBIDDEN_KEYS
    ]
