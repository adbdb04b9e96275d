"""Target `edge`: the packaged model in a format for devices, smaller if wanted, and put there only if it predicts the same.

`<path>/<model>` holds `model.<format>`, the signature, the card and `edge.json`: what was converted, how far it is from the
packaged model on rows of the test split in the device's own runtime, its size and speed.
"""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiat.builtin.deploy_shelf import flush
from fiat.builtin.deploy_versions import (
    LOCK_WAIT_S,
    Place,
    bring_version,
    copy_package,
    current_version,
    place_of,
    plain_name,
    ready_version,
)
from fiat.builtin.edge_verdict import broken_rules, summary
from fiat.builtin.edge_work import Work, work_in_child
from fiat.errors import SpecError
from fiat.model.package_files import CARD, SIGNATURE, file_sha256
from fiat.ports.deploy import DeployRequest, TargetState

KIND, DEFAULT_PATH, ABOUT = "edge", "edge", "edge.json"
_REFUSED = "refused.json"
_VERSION = "1"
_SHORT = 12


@dataclass(frozen=True)
class _Wanted:
    """What the settings ask for.

    Attributes:
        place: where it goes.
        format: `onnx`, `ort`, or what a plugin writes.
        quantize: `none`, `dynamic` or `static`.
        parity: what the spec says, None for the usual rules.
        mark: digest of all that makes a difference besides the package.
    """

    place: Place
    format: str
    quantize: str
    parity: Mapping[str, float | None] | None
    mark: str


class EdgeTarget:
    """Converts, measures, judges, and then lets the folder's link lead to the converted model.

    Args:
        lock_wait_s: how long another deploy of the same model is waited for.
        work: converts and measures.
    """

    name = "edge"
    version = _VERSION

    def __init__(self, lock_wait_s: float = LOCK_WAIT_S, work: Work = work_in_child) -> None:
        self._lock_wait_s, self._work = lock_wait_s, work

    def observe(self, request: DeployRequest) -> str | None:
        """Digest of the package that the current file was made from; None for none, a cut one, or one made otherwise."""
        wanted = _read_settings(request)
        current = current_version(wanted.place)
        if current is None or _damaged(current, deep=False):
            return None
        digest, _, mark = plain_name(current).rpartition("-")
        return digest if mark == wanted.mark else None

    def state(self, request: DeployRequest) -> TargetState:
        """The converted model, every file compared; what was measured; and whether the last one was refused."""
        wanted = _read_settings(request)
        current = current_version(wanted.place)
        refused = _read(wanted.place.shelf / _REFUSED) or {}
        said = {
            "refused": refused.get("digest", ""),
            "refused_generation": refused.get("generation", 0),
            "reason": refused.get("reason", ""),
        }
        if current is None:
            return TargetState("absent", sentence="no converted model is here", **said)
        faults = tuple(_damaged(current))
        digest = plain_name(current).rpartition("-")[0]
        about = _read(current / ABOUT)
        sentence = f"{summary(about)}; stands at {wanted.place.link}" if about and not faults else ""
        return TargetState("broken" if faults else "serving", digest, sentence, faults=faults, **said)

    def apply(self, request: DeployRequest) -> None:
        """Convert beside the others and measure; a model that is too far from the packaged one is not put there.

        Raises:
            SpecError: the model can't be converted, predicts too differently, or the path is not allowed.
            Stalled: a newer deploy went ahead.
            Waiting: another deploy holds the place all the time.
            EnvironmentFault: a plugin is missing, the folder can't be written, or the package is not what its digest
                says.
        """
        wanted = _read_settings(request)
        bring_version(
            request,
            wanted.place,
            lock_wait_s=self._lock_wait_s,
            is_there=lambda: self.observe(request) == request.digest,
            make=lambda shelf: ready_version(
                shelf,
                f"{request.digest}-{wanted.mark}",
                lambda folder: not _damaged(folder),
                lambda folder: self._fill(folder, request, wanted),
            ),
            publish=lambda _: (wanted.place.shelf / _REFUSED).unlink(missing_ok=True),
        )

    def _fill(self, folder: Path, request: DeployRequest, wanted: _Wanted) -> None:
        # What was said of an earlier try is no word about this one, should it be killed.
        (wanted.place.shelf / _REFUSED).unlink(missing_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="scratch.", dir=folder))
        package = scratch / "package"
        package.mkdir()
        copy_package(request, package)
        asked = {
            "package": str(package),
            "folder": str(folder),
            "format": wanted.format,
            "quantize": wanted.quantize,
            "datasets": [str(path) for path in (request.inputs or {}).values()],
        }
        measured = self._work(asked, scratch)
        if rules := broken_rules(measured, wanted.quantize, wanted.parity):
            _refuse(request, wanted, rules)
        for name in (SIGNATURE, CARD):
            shutil.copyfile(package / name, folder / name)
        shutil.rmtree(scratch)
        about = {
            "format": wanted.format,
            "quantize": wanted.quantize,
            "model": request.settings["model"],
            "package": request.digest,
            "measured": measured,
            "files": {path.name: _facts(path) for path in sorted(folder.iterdir())},
        }
        text = json.dumps(about, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
        (folder / ABOUT).write_text(text + "\n", "utf-8")


def _read_settings(request: DeployRequest) -> _Wanted:
    said = request.settings
    form, quantize = str(said["format"]), str(said.get("quantize") or "none")
    parity: Any = said.get("parity")
    marks = json.dumps([_VERSION, form, quantize, parity], sort_keys=True)
    mark = hashlib.sha256(marks.encode()).hexdigest()[:_SHORT]
    return _Wanted(place_of(request, KIND, DEFAULT_PATH), form, quantize, parity, mark)


def _refuse(request: DeployRequest, wanted: _Wanted, rules: list[str]) -> None:
    """Write down why, for `state`, and say so."""
    reason = (
        f"{wanted.format} ({wanted.quantize}) of {request.settings['model']} is refused: {'; '.join(rules)}"
    )
    note = {"digest": request.digest, "generation": request.generation, "reason": reason}
    draft = wanted.place.shelf / f"unfinished.{_REFUSED}"
    draft.write_text(json.dumps(note), "utf-8")
    flush(draft)
    draft.replace(wanted.place.shelf / _REFUSED)
    raise SpecError(
        reason,
        hint=f"the model that was there before is untouched; allow more in deploy.{request.target}.parity, "
        "or choose another format or quantize",
    )


def _damaged(folder: Path, *, deep: bool = True) -> list[str]:
    about = _read(folder / ABOUT)
    if not about or not isinstance(about.get("files"), dict):
        return [f"{ABOUT} is gone or was changed"]
    return [
        f"{name} is gone or was changed"
        for name, facts in about["files"].items()
        if not _is_as(folder / name, facts, deep=deep)
    ]


def _is_as(path: Path, facts: Mapping[str, object], *, deep: bool) -> bool:
    try:
        return path.stat().st_size == facts["size_bytes"] and (not deep or _facts(path) == facts)
    except OSError:
        return False


def _facts(path: Path) -> dict[str, object]:
    return {"sha256": file_sha256(path), "size_bytes": path.stat().st_size}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
