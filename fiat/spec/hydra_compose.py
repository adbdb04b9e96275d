"""`defaults` lists and group choices, composed by Hydra from what our parser read.

Hydra reads no file here and sees no value: each value is handed over as a mark that stands for a node, so
that neither interpolation nor resolvers can run, and every value comes back with its place.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

from fiat.errors import SpecError, Where
from fiat.spec.defaults_list import Collector, check_choice
from fiat.spec.files import SpecFiles
from fiat.spec.overrides import Change
from fiat.spec.tree import Node

_PLACE = "\x01place"
_SIGN = "\x02"
_LOCK = threading.Lock()


def compose_groups(
    tree: Node, path: Path, *, files: SpecFiles, choices: Sequence[Change]
) -> tuple[Node, tuple[Path, ...]]:
    """Compose a spec with its `defaults` and the choices of the command line.

    Args:
        tree: the spec's own file, parsed.
        path: that file.
        files: where others are read from.
        choices: overrides whose key is a group of files beside the spec.

    Returns:
        The composed tree without `defaults`, and every file that it may have come from.

    Raises:
        SpecError: a file that is missing or can't be read, a choice that is none, or `defaults` that
            contradict each other.
    """
    collector = Collector(path.parent, files)
    collector.add_main(tree, path)
    arguments = [_argument(change, collector) for change in choices]
    collector.check_expansion()
    marks: list[Node] = []
    with _LOCK, _clean_hydra() as store:
        for part in collector.parts.values():
            content = _encode(part.node, marks)
            if part.defaults is not None and isinstance(content, dict):
                content["defaults"] = part.defaults
            store.store(name=part.name, node=content, group=part.group or None, package=part.package)
        try:
            with initialize(version_base="1.3", config_path=None):
                composed = compose(config_name=path.stem, overrides=arguments)
        except Exception as error:  # Hydra meets odd `defaults` with asserts and errors of any kind
            raise _explain(error, tree, collector, choices) from None
    found = tuple(part.path for part in collector.parts.values())
    return _decode(composed, marks, tree.file), found


@contextmanager
def _clean_hydra() -> Iterator[ConfigStore]:
    """Hydra keeps one store for the process: give it back as it was."""
    store = ConfigStore.instance()
    before = store.repo
    store.repo = dict(before)
    GlobalHydra.instance().clear()
    try:
        yield store
    finally:
        store.repo = before
        GlobalHydra.instance().clear()


def _argument(change: Change, collector: Collector) -> str:
    """The choice in Hydra's own words, built from checked names only; reads the files it asks for."""
    where = Where(change.file)
    sign = {"set": "", "add": "+", "force": "++", "delete": "~"}[change.kind]
    key = f"{change.key}@{change.package}" if change.package else change.key
    if change.value is None:
        check_choice(change.key, change.package, [], where)
        if change.kind == "delete":
            return f"{sign}{key}"
        raise SpecError("expected an option", hint=f"to leave the group out: ~{change.key}", where=where)
    options = check_choice(change.key, change.package, change.value, where)
    for option in options:
        collector.ask(f"{change.key}/{option}", where)
    value = f"[{','.join(options)}]" if isinstance(change.value, list) else options[0]
    return f"{sign}{key}={value}"


def _encode(node: Node, marks: list[Node]) -> object:
    """Marks for everything but mappings, which Hydra has to merge; each mapping carries its own place."""
    marks.append(node)
    mark = f"{_SIGN}{len(marks) - 1}"
    if not isinstance(node.value, dict):
        return mark
    content: dict[str, object] = {_PLACE: mark}
    content.update((key, _encode(child, marks)) for key, child in node.value.items())
    return content


def _decode(composed: DictConfig, marks: list[Node], file: str) -> Node:
    plain = OmegaConf.to_container(composed, resolve=False)
    return _restore(plain, marks, file)


def _restore(plain: object, marks: list[Node], file: str) -> Node:
    if isinstance(plain, dict):
        place = plain.get(_PLACE)
        origin = marks[int(place[1:])] if isinstance(place, str) else Node(None, file)
        children = {str(key): _restore(item, marks, file) for key, item in plain.items() if key != _PLACE}
        return origin._replace(value=children)
    if isinstance(plain, str) and plain.startswith(_SIGN):
        return marks[int(plain[1:])]
    raise SpecError("composing `defaults` gave a value that no file has", where=Where(file))


def _explain(error: Exception, tree: Node, collector: Collector, choices: Sequence[Change]) -> SpecError:
    """Hydra's message at the place that asked for what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[0][:300] if lines else "`defaults` can't be composed"
    missing = [(target, where) for target, where in collector.asked.items() if target not in collector.parts]
    for target, where in missing:
        if f"'{target}'" in reason:
            group, _, _ = target.rpartition("/")
            found = collector.files.options(collector.folder / group)
            hint = f"options of `{group}`: {', '.join(found[:10])}" if found and group else ""
            return SpecError(f"there is no file {target}.yaml beside the spec", hint=hint, where=where)
    for change in choices:
        if f"'{change.key}'" in reason or f" {change.key} " in reason:
            return SpecError(reason, where=Where(change.file))
    listed = tree.value.get("defaults") if isinstance(tree.value, dict) else None
    place = listed.place if listed is not None else (1, 1)
    return SpecError(reason, where=Where(tree.file, place[0], place[1], "defaults"))
