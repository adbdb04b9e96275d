"""Which objects of a bucket a spec means, and what its list says of them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from fiat.errors import SpecError

_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{0,221}")
_MAGIC = re.compile(r"[*?\[]")
_MOST_OBJECTS = 100_000
_VERSIONS = ("ETag", "etag", "generation")


@dataclass(frozen=True)
class Place:
    """What a spec names.

    Attributes:
        bucket: its name, the container's for Azure.
        key: of an object; a prefix when it ends with `/` or is empty; or a pattern.
        setting: where it stands, such as `source.s3`.
    """

    bucket: str
    key: str
    setting: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"

    @property
    def is_pattern(self) -> bool:
        """Whether there are wildcards in it."""
        return _MAGIC.search(self.key) is not None

    @property
    def folder(self) -> str:
        """The prefix that names of files are relative to: empty, or ending with `/`."""
        fixed = _MAGIC.split(self.key)[0]
        return fixed[: fixed.rfind("/") + 1]


@dataclass(frozen=True)
class Found:
    """One object.

    Attributes:
        key: within its bucket.
        path: as its file system calls it.
        name: of the file that it becomes, relative, with `/`.
        size_bytes: of its content.
        version: what changes when it is written again: its ETag, or its generation.
    """

    key: str
    path: str
    name: str
    size_bytes: int
    version: str


def parse_place(value: object, setting: str) -> Place:
    """The place in a text such as `bucket/key`; a scheme such as `s3://` before it is borne.

    Raises:
        SpecError: no bucket, or characters that none has.
    """
    text = value if isinstance(value, str) else ""
    bucket, slash, key = re.sub(r"\A(s3|gs|gcs|az|abfs|abfss)://", "", text).partition("/")
    if not slash or not _BUCKET.fullmatch(bucket):
        raise SpecError(
            f"{setting}: expected `bucket/key`, found {text[:80]!r}", hint="a whole bucket is `bucket/`"
        )
    if not key.isprintable() or key.startswith("/"):
        raise SpecError(f"{setting}: {key[:80]!r} is no key of an object")
    return Place(bucket, key, setting)


def find_objects(system: Any, place: Place) -> list[Found]:
    """The objects that a place means, sorted by key.

    Of a prefix or pattern hidden ones are left out, and what marks a folder.

    Args:
        system: fsspec's file system of the place.
        place: to look at.

    Raises:
        SpecError: there are none, too many, or one can't be a file's name.
        OSError: and what else the file system raises.
    """
    whole = str(place)
    if place.is_pattern:
        listed = system.glob(whole, detail=True)
    elif place.key and not place.key.endswith("/"):
        info = system.info(whole)
        if info["type"] == "file":
            return [_found(whole, info, place, PurePosixPath(place.key).name)]
        place = Place(place.bucket, f"{place.key}/", place.setting)
        listed = system.find(str(place), detail=True)
    else:
        listed = system.find(whole, detail=True)
    if len(listed) > _MOST_OBJECTS:
        raise SpecError(
            f"{place.setting}: {whole} has more than {_MOST_OBJECTS:,} objects", hint="name fewer"
        )
    found = []
    for path, info in sorted(listed.items()):
        inner = path.removeprefix(f"{place.bucket}/").removeprefix(place.folder)
        hidden = any(part.startswith(".") and part not in (".", "..") for part in inner.split("/"))
        if info["type"] == "file" and not hidden and not path.endswith("/"):
            found.append(_found(path, info, place, inner))
    if not found:
        raise SpecError(f"{place.setting}: there is no object {whole}", hint="is the key right?")
    _check_names(found, place)
    return found


def version_of(info: Mapping[str, Any]) -> str:
    """What changes when an object is written again; the same from a list and from the object itself."""
    return " ".join(str(info[key]).strip('"') for key in _VERSIONS if info.get(key))


def _found(path: str, info: Any, place: Place, name: str) -> Found:
    key = path.removeprefix(f"{place.bucket}/")
    if any(part in ("", ".", "..") or len(part.encode()) > 255 or "\0" in part for part in name.split("/")):
        raise SpecError(f"{place.setting}: the object {key!r} can't be a file's name")
    return Found(key, path, name, int(info["size"] or 0), version_of(info))


def _check_names(found: list[Found], place: Place) -> None:
    """A key may be another's folder in a bucket, but not on a disk."""
    names = {item.name for item in found}
    for item in found:
        for parent in PurePosixPath(item.name).parents:
            if str(parent) in names:
                raise SpecError(
                    f"{place.setting}: {parent} is an object and the folder of {item.name}",
                    hint="name them apart",
                )
