"""Specs read from a commit's objects, without a working tree; what is looked at is remembered."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from fiat.engine.footprint_code import ENTRY, FOLDER, Looks
from fiat.errors import SpecError, SpecErrors, Where
from fiat.git.mirror import Mirror
from fiat.git.objects import ObjectReader, TooLarge
from fiat.git.spec_files import check_spec_path, fault_of_entry, too_large
from fiat.git.tree import Tree
from fiat.spec.load import LoadedSpec, load_spec
from fiat.spec.yaml_events import MAX_BYTES


class CommitFiles:
    """The files of a commit as a spec is composed of them, see `SpecFiles`. Paths are relative to the top.

    Args:
        looks: of the commit.
        objects: their contents.
    """

    def __init__(self, looks: Looks, objects: ObjectReader) -> None:
        self._looks = looks
        self._objects = objects

    def read(self, path: Path) -> tuple[bytes, str]:
        """Content of a regular file, and its path.

        Raises:
            SpecError: there is none, or it is a symlink, a submodule, too large, or has a path with odd characters.
        """
        name = path.as_posix()
        check_spec_path(name)
        for folder in PurePosixPath(name).parents:
            if folder.name and self._looks.see(ENTRY, folder.as_posix()):
                raise SpecError(f"{folder.name} in {name} is not a folder", where=Where(name))
        self._looks.see(ENTRY, name)
        blob = self._looks.files.get(name)
        fault = fault_of_entry(name, blob) if blob is not None else f"there is no file {name}"
        if fault or blob is None:
            raise SpecError(fault, where=Where(name))
        try:
            return self._objects.read(blob.oid, MAX_BYTES), name
        except TooLarge as error:
            raise too_large(name, error.size_bytes) from None

    def is_there(self, path: Path) -> bool:
        """Whether there is an entry, or a folder."""
        return bool(self._looks.see(ENTRY, path.as_posix()) or self._looks.see(FOLDER, path.as_posix()))

    def options(self, folder: Path) -> tuple[str, ...]:
        """Names, without `.yaml`, of the YAML files in a folder."""
        inside = folder.as_posix()
        names = [path[len(inside) + 1 :] for path in self._looks.files.below(inside)]
        return tuple(
            name.removesuffix(".yaml") for name in names if name.endswith(".yaml") and "/" not in name
        )


def tree_of_commit(mirror: Mirror, commit: str, objects: ObjectReader) -> Tree:
    """The files of a commit, with its symlinks."""
    return Tree(mirror.files(commit), objects.link)


def load_specs_at(
    mirror: Mirror,
    commit: str,
    paths: Sequence[str],
    *,
    builtins: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> Mapping[str, LoadedSpec | SpecErrors]:
    """Load specs of a commit that is laid out nowhere.

    Args:
        mirror: that has the commit.
        commit: full hash.
        paths: of the specs, see `Mirror.spec_files`.
        builtins: values for `${commit}` and `${ref}`.
        overrides: as typed; the same for all.

    Returns:
        Path to the spec, or to everything that is wrong with it. Files in it are relative to the top.

    Raises:
        EnvironmentFault: the mirror lacks the commit, or can't be read.
    """
    found: dict[str, LoadedSpec | SpecErrors] = {}
    with mirror.objects() as objects:
        tree = tree_of_commit(mirror, commit, objects)
        for path in paths:
            files = CommitFiles(Looks(tree), objects)
            try:
                found[path] = load_spec(
                    Path(path), root=Path(), overrides=overrides, builtins=builtins, files=files
                )
            except SpecErrors as errors:
                found[path] = errors
    return found
