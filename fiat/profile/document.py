"""`profile.json`: what was measured, in a file whose bytes depend on the rows alone.

One JSON object: `fiat_profile` (1), `label`, `source_digest`, `profiles`. A profile and a column have the names of
`fiat.profile.model`; what is as by default is left out. A number that JSON does not have (the mean of no numbers) is
null. The keys of a sketch are each less the one before; `hashes` are base64 of 8 bytes each,
little-endian.
"""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import numpy as np

from fiat.errors import EnvironmentFault
from fiat.profile.model import ColumnProfile, DataProfile, Images, Lengths, Numbers, Profile, Sketch

FILE = "profile.json"
VERSION = 1


def write_profile(folder: Path, profile: DataProfile) -> Path:
    """Write `profile.json` into a folder that exists.

    Raises:
        EnvironmentFault: it can't be written.
    """
    path = folder / FILE
    try:
        path.write_text(profile_text(profile), "utf-8")
    except OSError as error:
        raise EnvironmentFault(f"{path} can't be written: {error.strerror or error}") from error
    return path


def profile_text(profile: DataProfile) -> str:
    """The file's text."""
    document = {
        "fiat_profile": VERSION,
        "label": profile.label,
        "source_digest": profile.source_digest,
        "profiles": [_plain(item) for item in profile.profiles],
    }
    # No text that is cut in the middle of a character (a lone surrogate) may stop the writing.
    return json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n"


def read_profile(folder: Path) -> DataProfile:
    """Read `profile.json` of a folder.

    Raises:
        EnvironmentFault: it is not there, damaged, or of a later version.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text("utf-8"))
        version = document["fiat_profile"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EnvironmentFault(f"{path} holds no profile that can be read: {error}") from error
    if version != VERSION:
        raise EnvironmentFault(f"{path} is of version {version}, expected {VERSION}", hint="update fiat")
    try:
        profiles = tuple(_profile(item) for item in document["profiles"])
        return DataProfile(profiles, document["label"], document["source_digest"])
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise EnvironmentFault(f"{path} holds no profile that can be read: {error!r}") from error


def _plain(value: Any) -> Any:
    """A value of the model as JSON has it; fields that are as by default are left out."""
    if isinstance(value, Sketch):
        keys = np.diff(np.array(value.keys, np.int64), prepend=0).tolist()
        return {"keys": keys, "counts": list(value.counts), "shift": value.shift}
    if isinstance(value, Profile | ColumnProfile | Numbers | Lengths | Images):
        found = {
            item.name: getattr(value, item.name) for item in fields(value) if not _is_default(value, item)
        }
        if found.get("hashes"):
            found["hashes"] = base64.b64encode(np.array(found["hashes"], "<u8").tobytes()).decode("ascii")
        return {name: _plain(part) for name, part in found.items()}
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _is_default(value: object, item: Any) -> bool:
    if item.default is not MISSING:
        return bool(getattr(value, item.name) == item.default)
    return item.default_factory is not MISSING and getattr(value, item.name) == item.default_factory()


def _profile(document: dict[str, Any]) -> Profile:
    return Profile(**document | {"columns": tuple(_column(item) for item in document["columns"])})


def _column(document: dict[str, Any]) -> ColumnProfile:
    made: dict[str, Any] = dict(document)
    if "top" in made:
        made["top"] = tuple((value, rows) for value, rows in made["top"])
    if "shape" in made:
        made["shape"] = tuple(made["shape"])
    if "hashes" in made:
        made["hashes"] = tuple(np.frombuffer(base64.b64decode(made["hashes"], validate=True), "<u8").tolist())
    for name, kind in (("lengths", Lengths), ("images", Images)):
        if name in made:
            made[name] = kind(**made[name])
    if "numbers" in made:
        made["numbers"] = _numbers(made["numbers"])
    return ColumnProfile(**made)


def _numbers(document: dict[str, Any]) -> Numbers:
    made: dict[str, Any] = dict(document)
    for name in ("mean", "sd", "min", "max"):
        made[name] = math.nan if made[name] is None else made[name]
    made["quantiles"] = tuple(made.get("quantiles", ()))
    if "sketch" in made:
        keys = np.cumsum(np.array(made["sketch"]["keys"], np.int64)).tolist()
        made["sketch"] = Sketch(tuple(keys), tuple(made["sketch"]["counts"]), made["sketch"]["shift"])
    return Numbers(**made)
