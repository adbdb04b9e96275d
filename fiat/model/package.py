"""The packaged model: one folder with the graph and all that is known of it, the same bytes for the same inputs.

`model.onnx`, `signature.json`, `metrics.json`, `requirements.txt` (what serves it), `MODEL.md` (the card),
`profile.json` (what it learned from and what it said, see `reference.py`), `warmup.json` (a made-up row, see
`warmup.py`), and `manifest.json`: where it comes from, what its scores are, and size and SHA-256 of every other file.
Packages of earlier versions have no `profile.json`, no `warmup.json` and no `scores` in their manifest.
"""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fiat.errors import EnvironmentFault
from fiat.model.card import CardSource, write_card
from fiat.model.package_files import CARD, REQUIREMENTS, file_sha256
from fiat.model.package_files import GRAPH as GRAPH
from fiat.model.package_files import MANIFEST as MANIFEST
from fiat.model.package_files import METRICS as METRICS
from fiat.model.package_files import SIGNATURE as SIGNATURE
from fiat.model.package_files import damaged_files as damaged_files
from fiat.model.precheck import precheck_model
from fiat.model.warmup import FILE as WARMUP
from fiat.model.warmup import Row, warmup_text
from fiat.model.warmup_row import accepted_row
from fiat.profile.document import FILE as PROFILE
from fiat.profile.document import profile_text
from fiat.profile.model import DataProfile

FORMAT = 1


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
        name: of the model.
        alias: that it takes when released, None for none.
        spec: name of the spec that made it.
        spec_digest: of the composed spec.
        plan_digest: of the plan.
        commit: git commit, empty outside git.
        dirty: the working tree differed from the commit.
        params: the spec's parameters, JSON values.
        data: dataset to digest.
    """

    name: str
    alias: str | None = None
    spec: str = ""
    spec_digest: str = ""
    plan_digest: str = ""
    commit: str = ""
    dirty: bool = False
    params: Mapping[str, object] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """What goes into a package.

    Attributes:
        onnx: folder with `model.onnx` and `signature.json`.
        evaluation: folder with `metrics.json` and `evaluation.json`.
        gates: JSON file with what the gates said, None when there are none.
        card: template of the card, None for the default one.
        requirements: lines such as `onnxruntime==1.20.0`.
        profile: the reference profile, None for none.
        rows: made-up rows, the first that the graph takes is kept: input name to array `(1, ...)`.
    """

    onnx: Path
    evaluation: Path
    gates: Path | None
    card: CardSource | None
    requirements: Sequence[str]
    profile: DataProfile | None = None
    rows: Iterable[Row] = ()


def write_package(folder: Path, parts: Parts, origin: Origin) -> Mapping[str, Any]:
    """Write the package.

    Args:
        folder: does not exist yet.
        parts: what to pack.
        origin: where it comes from.

    Returns:
        The manifest.

    Raises:
        SpecError: the graph is one that must not be loaded, or the card's template is wrong.
        EnvironmentFault: a part is missing or damaged.
    """
    signature = _read(parts.onnx / SIGNATURE)
    evaluation = _read(parts.evaluation / "evaluation.json")
    metrics = _read(parts.evaluation / METRICS)
    gates = _read(parts.gates)["gates"] if parts.gates else []
    folder.mkdir(parents=True)
    try:
        shutil.copyfile(parts.onnx / GRAPH, folder / GRAPH)
    except OSError as error:
        raise EnvironmentFault(
            f"{GRAPH} can't be copied: {error.strerror}", hint="run the export again"
        ) from error
    precheck_model(folder / GRAPH)
    _write(folder / SIGNATURE, signature)
    _write(folder / METRICS, metrics)
    (folder / REQUIREMENTS).write_text("".join(f"{line}\n" for line in parts.requirements), "utf-8")
    if parts.profile is not None:
        (folder / PROFILE).write_text(profile_text(parts.profile), "utf-8")
    row = accepted_row(folder / GRAPH, parts.rows)
    if row is not None:
        (folder / WARMUP).write_text(warmup_text(row), "utf-8")
    manifest = {
        "format": FORMAT,
        **asdict(origin),
        "labels": signature["labels"],
        "parity": evaluation["parity"],
        "task": evaluation["task"],
        "scores": "values" if evaluation["task"] == "regression" else evaluation.get("scores", "none"),
        "split": evaluation["split"],
        "n_rows": evaluation["n_rows"],
        "gates": gates,
    }
    card = write_card(parts.card, {**manifest, "signature": signature, "metrics": metrics})
    (folder / CARD).write_text(card, "utf-8")
    manifest["files"] = {path.name: _facts(path) for path in sorted(folder.iterdir())}
    _write(folder / MANIFEST, manifest)
    return manifest


def _facts(path: Path) -> dict[str, object]:
    return {"sha256": file_sha256(path), "size_bytes": path.stat().st_size}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EnvironmentFault(
            f"{path.name} can't be read: {error}", hint="run the step before it again"
        ) from error


def _write(path: Path, value: object) -> None:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", "utf-8")
