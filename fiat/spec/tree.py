"""What a YAML file says, with the place of every key and value, before it is validated."""

from collections.abc import Iterator
from typing import NamedTuple, Union

from fiat.errors import Where
from fiat.spec.yaml_scalars import Scalar

KeyPath = tuple[str | int, ...]


class Node(NamedTuple):
    """One value of a file and where it stands.

    Attributes:
        value: a scalar, a list of nodes, or a mapping of keys to nodes.
        file: as shown to people; `<override> key=value` for the command line.
        line: 1-based line of the value, 0 when it has none.
        column: 1-based column of the value.
        key_line: line of its key in a mapping, 0 when it has none.
        key_column: column of that key.
        empty: nothing was written where the value belongs.
    """

    value: Union[Scalar, "list[Node]", "dict[str, Node]"]
    file: str
    line: int = 0
    column: int = 0
    key_line: int = 0
    key_column: int = 0
    empty: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Where to look for the value: a list or mapping is found by its key."""
        if self.key_line and (self.empty or isinstance(self.value, list | dict)):
            return self.key_line, self.key_column
        return self.line, self.column


def format_path(path: KeyPath) -> str:
    """A key path as people write it, such as `gates[1].metric`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def parse_path(text: str) -> KeyPath:
    """The parts of a key path such as `gates[1].metric`; keys that hold dots can't be said this way."""
    path: list[str | int] = []
    for part in text.replace("[", ".[").split("."):
        if part.startswith("[") and part.endswith("]") and part[1:-1].isdigit():
            path.append(int(part[1:-1]))
        elif part:
            path.append(part)
    return tuple(path)


def descend(tree: Node, path: KeyPath) -> Iterator[tuple[int, Node]]:
    """Nodes along a path, each with how many parts lead to it; ends where the tree ends."""
    node = tree
    yield 0, node
    for depth, part in enumerate(path, start=1):
        child = child_of(node, part)
        if child is None:
            return
        node = child
        yield depth, node


def child_of(node: Node, part: str | int) -> Node | None:
    """The node under a key or an index, or None."""
    if isinstance(node.value, dict):
        children: dict[str, Node] = node.value
        return children.get(str(part))
    if isinstance(node.value, list) and str(part).isdigit() and int(part) < len(node.value):
        items: list[Node] = node.value
        return items[int(part)]
    return None


def locate(tree: Node, path: KeyPath, *, key: bool = False) -> Where:
    """Where to look for a key path; the nearest place above it when the path is not in the tree.

    Args:
        tree: the composed file.
        path: parts of the key path.
        key: whether the key itself is at fault and not its value.
    """
    depth, node = 0, tree
    for found in descend(tree, path):
        depth, node = found
    line, column = node.place
    if key and depth == len(path) and node.key_line:
        line, column = node.key_line, node.key_column
    return Where(node.file, line, column, format_path(path))


def walk(tree: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every node with its path, parents first. Depth is limited by the parser."""
    yield path, tree
    if isinstance(tree.value, dict):
        for key, child in tree.value.items():
            yield from walk(child, (*path, key))
    elif isinstance(tree.value, list):
        for index, child in enumerate(tree.value):
            yield from walk(child, (*path, index))


def to_plain(node: Node) -> object:
    """The values alone: JSON values, where numbers may be infinite."""
    if isinstance(node.value, dict):
        return {key: to_plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [to_plain(child) for child in node.value]
    return node.value
