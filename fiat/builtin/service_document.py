"""The files of a service that say what is asked for and how far it is: JSON of one format, replaced in one step."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from fiat.errors import EnvironmentFault

FORMAT = 1
Made = TypeVar("Made")


def write_document(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a document, with its format in it; on disk before this returns.

    Raises:
        OSError: the disk refused.
    """
    write_durably(path, {"format": FORMAT, **document})


def read_document(
    path: Path, make: Callable[[dict[str, Any]], Made], lacks: str, *, hint: str
) -> Made | None:
    """Read a document; None when there is none yet.

    Args:
        path: of the file.
        make: a value of the document's entries; what it raises for a damaged one is told.
        lacks: what a file that can't be read does not say, behind its path.
        hint: what to do then.

    Raises:
        EnvironmentFault: the file is not one of this format.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        if found.pop("format") != FORMAT:
            raise ValueError("it is of another format")
        return make(found)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvironmentFault(f"{path} {lacks}: {error}", hint=hint) from error


def write_durably(path: Path, document: Mapping[str, Any]) -> None:
    """Replace a file of JSON in one step, on disk before this returns.

    Raises:
        OSError: the disk refused.
    """
    draft = path.with_name(f"unfinished.{path.name}")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
