"""Bring ONNX models to one set of operator versions."""

from collections.abc import Mapping

import onnx
from onnx import inliner, version_converter

from fiat.errors import SpecError
from fiat.transform.names import graphs_in

ONNX = ""
_STANDARD = ("", "ai.onnx")


def versions_of(model: onnx.ModelProto) -> dict[str, int]:
    """Operator domain to version, of the domains that a model without functions uses; ONNX's own is the empty text."""
    used = {ONNX, *_domains(model.graph)}
    found: dict[str, int] = {}
    for item in model.opset_import:
        domain = ONNX if item.domain in _STANDARD else item.domain
        if domain in used:
            found[domain] = max(item.version, found.get(domain, 0))
    return found


def without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the bodies of its functions in place of their calls."""
    return inliner.inline_local_functions(model, True) if model.functions else model


def raise_versions(model: onnx.ModelProto, versions: Mapping[str, int]) -> onnx.ModelProto:
    """The model for newer operators; domains that it doesn't use are left out.

    Operators of ONNX's own domain are rewritten by ONNX's converter, which knows what changed. Other domains have kept
    what they say in every version from the second on.

    Args:
        model: without functions.
        versions: domain to version, none below the model's own.

    Raises:
        SpecError: ONNX can't convert an operator.
    """
    own = versions_of(model)
    wanted = versions.get(ONNX, own.get(ONNX, 0))
    if own.get(ONNX, wanted) < wanted:
        model = _convert(model, wanted)
    if own.get("ai.onnx.ml", 9) < 2 <= versions.get("ai.onnx.ml", 0) and any(
        node.op_type == "LabelEncoder" for node in model.graph.node
    ):
        raise SpecError(
            "the model has a LabelEncoder of ai.onnx.ml 1, which later versions don't know",
            hint="export it again, with ai.onnx.ml 2 or later",
        )
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.opset_import[:]
    for domain in sorted({ONNX, *own}):
        found.opset_import.add(domain=domain, version=versions.get(domain, own.get(domain, wanted)))
    return found


def _convert(model: onnx.ModelProto, wanted: int) -> onnx.ModelProto:
    try:
        return version_converter.convert_version(model, wanted)
    except (RuntimeError, ValueError, onnx.onnx_cpp2py_export.checker.ValidationError) as error:
        first = str(error).strip().partition("\n")[0][:300]
        raise SpecError(
            f"the model can't be raised to opset {wanted}: {first}",
            hint=f"export it with opset {wanted}",
        ) from error


def _domains(graph: onnx.GraphProto) -> set[str]:
    found = {ONNX if node.domain in _STANDARD else node.domain for node in graph.node}
    for node in graph.node:
        for inner in graphs_in(node):
            found |= _domains(inner)
    return found
