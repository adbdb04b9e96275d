"""A package as an MLflow model folder; the same bytes for the same package.

Source: https://mlflow.org/docs/latest/ml/model, "Storage Format", and `mlflow.pyfunc`, "Filesystem format".
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from fiat.builtin.deploy_versions import copy_package
from fiat.model.package import MANIFEST, damaged_files
from fiat.model.package_files import REQUIREMENTS
from fiat.model.warmup import read_warmup
from fiat.ports.deploy import DeployRequest
from fiat.profile.document import FILE as PROFILE
from fiat.profile.document import read_profile
from fiat.serving.answers import NO_CLASS, NO_TEXT
from fiat.serving.tensors import (
    BYTES,
    ModelInfo,
    ServedTensor,
    find_class_outputs,
    label_datatype,
    read_model_info,
)

PACKAGE, LISTING = "package", "fiat.json"
_CODE, _SCORER, _EXAMPLE, _SERVED = "code", "fiat_scorer", "input_example.json", "serving_input_example.json"
_NEEDS = ("mlflow>=2.9", "numpy>=1.26", "pandas>=2")
_ENV = "python: '3.11'\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n"
_TYPES = {"BOOL": "boolean", "FP16": "float", "FP32": "float", "FP64": "double", BYTES: "string"}
_WHOLE_KINDS, _TEXT_KINDS = {"int": "long", "bool": "boolean"}, {"time": "datetime"}
_LONG = ("INT64", "UINT32", "UINT64")


def write_model_folder(request: DeployRequest, folder: Path) -> None:
    """Fill an empty folder with the model.

    Args:
        request: has the package.
        folder: empty.

    Raises:
        SpecError: the graph is one that must not be loaded.
        EnvironmentFault: the package is damaged, or not what its digest says.
    """
    package = folder / PACKAGE
    package.mkdir()
    copy_package(request, package)
    info = read_model_info(package)
    manifest = json.loads((package / MANIFEST).read_bytes())
    (folder / _CODE).mkdir()
    scorer = files("fiat_mlflow").joinpath("scorer.py").read_bytes()
    (folder / _CODE / f"{_SCORER}.py").write_bytes(scorer)
    _write_json(folder / "plan.json", _plan(info))
    own = (package / REQUIREMENTS).read_text("utf-8").splitlines()
    (folder / REQUIREMENTS).write_text("\n".join([*own, *_NEEDS]) + "\n", "utf-8")
    (folder / "python_env.yaml").write_text(_ENV, "utf-8")
    example = _write_example(folder, package, info)
    about = {"digest": request.digest, "commit": str(manifest.get("commit", "")), "model": info.name}
    document = _document(package, info, about, example)
    text = yaml.safe_dump(document, sort_keys=True, allow_unicode=True, width=120)
    (folder / "MLmodel").write_text(text, "utf-8")
    listed = {path.relative_to(folder).as_posix(): _facts(path) for path in sorted(_all_files(folder))}
    _write_json(folder / LISTING, {"digest": request.digest, "files": listed})


def damaged_model(folder: Path, *, deep: bool) -> list[str]:
    """Files of a model folder that are gone or not what they were.

    Args:
        folder: of the model.
        deep: compare contents, not only sizes.
    """
    try:
        files_there = json.loads((folder / LISTING).read_bytes())["files"].items()
        wrong = [name for name, facts in files_there if not _is_as(folder / name, facts, deep=deep)]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return [LISTING]
    return wrong or [f"{PACKAGE}/{name}" for name in damaged_files(folder / PACKAGE, deep=deep)]


def _document(
    package: Path, info: ModelInfo, about: Mapping[str, str], example: Mapping[str, str] | None
) -> dict[str, Any]:
    flavor = {
        "loader_module": _SCORER,
        "data": PACKAGE,
        "code": _CODE,
        "env": {"virtualenv": "python_env.yaml"},
        "python_version": "3.11",
    }
    document: dict[str, Any] = {
        "flavors": {"python_function": flavor},
        "model_uuid": about["digest"][:32],
        "metadata": {f"fiat.{name}": value for name, value in about.items()},
        "signature": _signature(package, info),
    }
    if example is not None:
        document["saved_input_example_info"] = dict(example)
    return document


def _plan(info: ModelInfo) -> dict[str, Any]:
    """What the scorer must know, so that it answers as the server does."""
    found = find_class_outputs(info.outputs, info.labels) if info.added else None
    classes: Sequence[object] = found.classes if found else ()
    as_text = label_datatype(classes) == BYTES
    names = [str(name).lower() if isinstance(name, bool) else str(name) for name in classes]
    by_name = {item.name for item in info.inputs} == set(info.features)
    columns = [item.name for item in info.inputs] if by_name else list(info.features)
    return {
        "layout": info.layout,
        "features": list(info.features),
        "inputs": [
            {
                "name": item.name,
                "column": column,
                "dtype": "string" if item.datatype == BYTES else item.dtype.name,
                "shape": list(item.shape),
            }
            for item, column in zip(info.inputs, columns, strict=False)
        ],
        "added": [item.name for item in info.added],
        "scores": found.scores.name if found and found.scores else None,
        "label": found.label.name if found and found.label else None,
        "classes": list(classes),
        "names": names if as_text else list(classes),
        "no_class": NO_TEXT if as_text else NO_CLASS,
        "as_text": as_text,
        "kind": info.scores,
    }


def _takes_columns(info: ModelInfo) -> bool:
    """Whether the model is called with a table; one that takes tensors of more than a value a row is not."""
    return info.layout == "matrix" or (
        info.layout != "tensor" and all(len(item.shape) == 2 and item.shape[1] == 1 for item in info.inputs)
    )


def column_types(package: Path, info: ModelInfo) -> dict[str, str]:
    """MLflow's type of each column that the model reads, as MLflow itself would infer it from the training rows.

    MLflow refuses a column of another type, whole numbers for `double` too; so a column that had whole numbers in every
    training row is `long`, and one that lacked some is `double`, as pandas has it.

    Args:
        package: folder; a package without a profile gives `double` and `string` only.
        info: of its model, which takes columns.
    """
    train = read_profile(package).split("train") if (package / PROFILE).exists() else None
    taken = {item["column"]: item["dtype"] for item in _plan(info)["inputs"]}
    found = {}
    for name in info.features:
        column = train.column(name) if train is not None else None
        whole = column is not None and column.n_missing == 0
        text = taken.get(name) == "string"
        known = _TEXT_KINDS if text else _WHOLE_KINDS if whole else {}
        found[name] = known.get(column.kind if column is not None else "", "string" if text else "double")
    return found


def _signature(package: Path, info: ModelInfo) -> dict[str, Any]:
    inputs: list[dict[str, Any]]
    if _takes_columns(info):
        types = column_types(package, info)
        inputs = [{"type": types[name], "name": name, "required": True} for name in info.features]
    else:
        inputs = [
            {
                "name": item.name,
                "type": "tensor",
                "tensor-spec": {
                    "dtype": "str" if item.datatype == BYTES else item.dtype.name,
                    "shape": list(item.shape),
                },
            }
            for item in info.inputs
        ]
    outputs = [{**_column_type(item), "name": item.name, "required": True} for item in info.answered]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}


def _column_type(tensor: ServedTensor) -> dict[str, Any]:
    name = _TYPES.get(tensor.datatype) or ("long" if tensor.datatype in _LONG else "integer")
    kind: dict[str, Any] = {"type": name}
    axes = tensor.shape[1:]
    for _ in () if axes in ((), (1,)) else axes:
        kind = {"type": "array", "items": kind}
    return kind


def _write_example(folder: Path, package: Path, info: ModelInfo) -> dict[str, str] | None:
    """One made-up row, as MLflow keeps examples of tables; None for models of tensors and packages without a row."""
    row = read_warmup(package)
    if row is None or not _takes_columns(info):
        return None
    arrays = [row[item.name].reshape(-1) for item in info.inputs]
    values = [value for array in arrays for value in array.tolist()]
    columns = list(info.features) if info.layout == "matrix" else [i["column"] for i in _plan(info)["inputs"]]
    table = {"columns": columns, "data": [[None if value != value else value for value in values]]}
    _write_json(folder / _EXAMPLE, table)
    _write_json(folder / _SERVED, {"dataframe_split": table})
    return {
        "artifact_path": _EXAMPLE,
        "type": "dataframe",
        "pandas_orient": "split",
        "serving_input_path": _SERVED,
    }


def _all_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _facts(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "size_bytes": path.stat().st_size}


def _is_as(path: Path, facts: Mapping[str, object], *, deep: bool) -> bool:
    try:
        return _facts(path) == facts if deep else path.stat().st_size == facts["size_bytes"]
    except OSError:
        return False


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
