"""Read a runner's settings: the same safe YAML as specs, every fault at once and each at its place."""

from pathlib import Path

from pydantic import ValidationError

from fiat.errors import SpecError, SpecErrors, Where
from fiat.spec.complaints import explain
from fiat.spec.operator_section import Operator
from fiat.spec.tree import Node, format_path, locate, parse_path, to_plain, walk
from fiat.spec.yaml_events import MAX_BYTES, parse


class LoadedOperator:
    """Settings that are valid, with the places of their keys.

    Attributes:
        settings: the validated model.
        path: the file; relative paths in it are relative to its folder.
    """

    def __init__(self, settings: Operator, path: Path, tree: Node) -> None:
        self.settings = settings
        self.path = path
        self._tree = tree

    def where(self, key_path: str) -> Where:
        """The place of a key path such as `repositories[0].url`, or the nearest place above it."""
        return locate(self._tree, parse_path(key_path))


def load_operator(path: Path) -> LoadedOperator:
    """Read a settings file.

    Raises:
        SpecErrors: everything that is wrong with it.
    """
    try:
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        hint = "`runners/local.yaml` is one to start from"
        raise SpecErrors([SpecError(f"can't read {path}: {error.strerror}", hint=hint)]) from None
    try:
        tree = parse(content, str(path))
    except SpecErrors:
        raise
    except SpecError as error:
        raise SpecErrors([error]) from None
    errors = [
        SpecError(f"`{format_path(keys[-1:])}` has no value", where=locate(tree, keys, key=True))
        for keys, node in walk(tree)
        if keys and node.value is None
    ]
    if not errors:
        try:
            return LoadedOperator(Operator.model_validate(to_plain(tree)), path, tree)
        except ValidationError as error:
            errors = explain(error, tree, top=Operator)
    raise SpecErrors(errors)
