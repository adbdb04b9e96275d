"""A bill of materials of a packaged model, as a CycloneDX document with a model card.

The same package gives the same document, whenever and wherever the same version of Fiat makes it.

Source: https://cyclonedx.org/docs/1.6/json/ (machine-learning-model, modelCard).
"""

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SPEC_VERSION = "1.6"
_MODEL = "model"
_NAMESPACE = uuid.UUID("5f2d3c1e-0f3b-5d8a-9c64-2b7f6f0e1a55")
_HASHES = {32: "MD5", 40: "SHA-1", 64: "SHA-256"}


@dataclass(frozen=True)
class Dataset:
    """Data that a model came from.

    Attributes:
        name: such as `data.scans`.
        digest: of its content, hex digits.
        sources: files and addresses that it was read from, to the digest of their content.
    """

    name: str
    digest: str
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BomSource:
    """What is known of a packaged model.

    Attributes:
        name: that its releases go by.
        version: what people call this package, such as `3`.
        digest: of the package, with `.dir` behind it.
        released_at: ISO time; empty when it was never released.
        files: file of the package to its SHA-256.
        manifest: of the package.
        signature: of the package.
        metrics: of the package.
        requirements: lines such as `onnxruntime==1.20.0`.
        data: that it came from.
        code: file of the checkout to digest.
        tool_version: of Fiat.
        commit: git commit, empty outside git.
        run: id of the run that made it.
    """

    name: str
    version: str
    digest: str
    released_at: str
    files: Mapping[str, str]
    manifest: Mapping[str, Any]
    signature: Mapping[str, Any]
    metrics: Sequence[Mapping[str, Any]]
    requirements: Sequence[str]
    data: Sequence[Dataset]
    code: Mapping[str, str]
    tool_version: str
    commit: str = ""
    run: str = ""


def make_bom(source: BomSource) -> dict[str, Any]:
    """The document, JSON values."""
    datasets = [_dataset(one) for one in source.data]
    libraries = [_library(line) for line in source.requirements]
    files = [_file(f"package/{name}", digest) for name, digest in source.files.items()]
    code = [_file(f"code/{name}", digest) for name, digest in source.code.items()]
    components = [*files, *libraries, *datasets, *code]
    metadata: dict[str, Any] = {
        "tools": {"components": [{"type": "application", "name": "fiat-ml", "version": source.tool_version}]},
        "component": _model(source, [one["bom-ref"] for one in datasets]),
    }
    if source.released_at:
        metadata["timestamp"] = source.released_at
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, f'{source.name} {source.digest}')}",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [
            {"ref": _MODEL, "dependsOn": [one["bom-ref"] for one in components]},
            *({"ref": one["bom-ref"], "dependsOn": []} for one in components),
        ],
    }


def _model(source: BomSource, datasets: list[str]) -> dict[str, Any]:
    said = {
        "fiat:digest": source.digest,
        "fiat:commit": source.commit,
        "fiat:dirty": "true" if source.manifest.get("dirty") else "",
        "fiat:run": source.run,
        "fiat:spec_digest": str(source.manifest.get("spec_digest") or ""),
    }
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": _MODEL,
        "name": source.name,
        "version": source.version,
        "modelCard": _card(source, datasets),
        "properties": _properties(said),
    }
    graph = source.files.get("model.onnx")
    return {**found, "hashes": _hashes(graph)} if graph else found


def _card(source: BomSource, datasets: list[str]) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "approach": {"type": "supervised"},
        "datasets": [{"ref": ref} for ref in datasets],
        "inputs": [{"format": _port(port)} for port in source.signature.get("inputs") or ()],
        "outputs": [{"format": _port(port)} for port in source.signature.get("outputs") or ()],
    }
    if task := source.manifest.get("task"):
        parameters["task"] = str(task)
    params = {f"fiat:param:{key}": str(value) for key, value in (source.manifest.get("params") or {}).items()}
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {
            "performanceMetrics": [_metric(one) for one in source.metrics if _is_finite(one.get("value"))]
        },
        "properties": _properties({**params, "fiat:split": str(source.manifest.get("split") or "")}),
    }


def _metric(metric: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"type": str(metric["name"]), "value": str(metric["value"])}
    if metric.get("slice"):
        found["slice"] = str(metric["slice"])
    if _is_finite(metric.get("low")) and _is_finite(metric.get("high")):
        found["confidenceInterval"] = {"lowerBound": str(metric["low"]), "upperBound": str(metric["high"])}
    return found


def _dataset(one: Dataset) -> dict[str, Any]:
    ref = f"data/{one.name}"
    content = {f"fiat:source:{name}": digest for name, digest in one.sources.items()}
    return {
        "type": "data",
        "bom-ref": ref,
        "name": one.name,
        "hashes": _hashes(one.digest),
        "data": [{"type": "dataset", "name": one.name}],
        "properties": _properties(content),
    }


def _library(line: str) -> dict[str, Any]:
    name, _, version = line.partition("==")
    return {
        "type": "library",
        "bom-ref": f"pypi/{line}",
        "name": name,
        "version": version,
        "purl": f"pkg:pypi/{name.lower().replace('_', '-')}@{version}",
    }


def _file(ref: str, digest: str) -> dict[str, Any]:
    return {"type": "file", "bom-ref": ref, "name": ref, "hashes": _hashes(digest)}


def _hashes(digest: str) -> list[dict[str, str]]:
    """A folder's digest is the MD5 of its list of files."""
    content = digest.removesuffix(".dir")
    kind = _HASHES.get(len(content))
    return [{"alg": kind, "content": content}] if kind else []


def _port(port: Mapping[str, Any]) -> str:
    sizes = ", ".join("n" if axis is None else str(axis) for axis in port.get("shape") or ())
    return f"{port.get('name')}: {port.get('dtype')} ({sizes})"


def _properties(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in values.items() if value]


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)
