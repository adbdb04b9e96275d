"""The outputs of the transform graph: all numbers side by side, and what is an output of its own."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from onnx import ValueInfoProto, helper

from fiat.errors import SpecError
from fiat.transform.graph import Graph
from fiat.transform.model import TO_MODEL, Output, Value
from fiat.transform.train_rows import element_type

FEATURES = "features"
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class End:
    """A tensor that leaves the graph.

    Attributes:
        tensor: inside.
        info: outside.
        output: what it is to a model.
    """

    tensor: str
    info: ValueInfoProto
    output: Output


def finish(graph: Graph, values: Sequence[Value], columns: Sequence[str]) -> list[End]:
    """Put numbers together and name the rest.

    A number that float32 can't hold becomes the largest that it can, so that no model is given infinity.

    Raises:
        SpecError: two outputs have one name, or nothing is left.
    """
    beside = [value for value in values if _is_number(value)]
    ends = []
    if beside:
        names = tuple(name for value in beside for name in value.names)
        parts = list(_narrowed(graph, beside))
        tensor = parts[0] if len(parts) == 1 else graph.add("Concat", *parts, axis=1)
        ends.append(_end(tensor, Output(FEATURES, "float32", (len(names),), names)))
    ends += [_end(value.tensor, _output(value)) for value in values if not _is_number(value)]
    if not ends:
        raise SpecError("the transforms leave nothing for a model")
    found: set[str] = set()
    for end in ends:
        if end.output.name in found:
            raise SpecError(
                f"two outputs of `transform` are called {end.output.name!r}",
                hint="a column can leave as itself only once: let one entry make numbers of it",
            )
        found.add(end.output.name)
    return ends


def _narrowed(graph: Graph, values: Sequence[Value]) -> Iterator[str]:
    """Float32 tensors; neighbours of float64 are put together first, which is one pass instead of many."""
    for wide, group in groupby(values, key=lambda value: value.kind == "number" and not value.narrow):
        if wide:
            tensors = [value.tensor for value in group]
            whole = tensors[0] if len(tensors) == 1 else graph.add("Concat", *tensors, axis=1)
            limits = (graph.constant(limit, "float64") for limit in (-_LARGEST, _LARGEST))
            yield graph.cast(graph.add("Clip", whole, *limits), "float32")
        else:
            yield from (value.narrow or graph.cast(value.tensor, "float32") for value in group)


def _is_number(value: Value) -> bool:
    return value.kind == "number" or (value.kind == "whole" and not value.own)


def _output(value: Value) -> Output:
    if value.kind == "tensor":
        return Output(value.names[0], value.dtype, value.shape, value.names)
    if value.kind == "whole":
        column = _stem(value.names[0]) if len(value.names) > 1 else value.names[0]
        return Output(column, "int64", (len(value.names),), value.names, value.n_categories)
    if value.kind == "tokens":
        raise SpecError(
            f"the words of column {value.names[0]!r} are no input of a model",
            hint="put `tf_idf`, `hash` or `embed_index` behind `tokenize`",
        )
    return Output(value.names[0], "string", (1,), value.names)


def _stem(name: str) -> str:
    """`about` of `about[0]`, which is a place among words, and of `about.year`, which is a part of a time."""
    return name.rpartition("[" if name.endswith("]") else ".")[0] or name


def _end(tensor: str, output: Output) -> End:
    kind = element_type(output.dtype)
    info = helper.make_tensor_value_info(TO_MODEL + output.name, kind, [None, *output.shape])
    return End(tensor, info, output)
