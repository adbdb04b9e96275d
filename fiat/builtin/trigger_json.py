"""JSON that strangers wrote: read without surprises, and asked for fields of a known shape."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import NoReturn
from urllib.parse import parse_qsl

from fiat.errors import SpecError

MAX_DEPTH = 64
_TEXT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKETS = b"[]{}"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_REF = re.compile(r"refs/[^\x00-\x20\x7f~^:?*\[\\]+")
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_LARGEST_ID = 2**63


def read_object(body: bytes) -> "Fields":
    """Parse a JSON object.

    Raises:
        SpecError: no UTF-8, no JSON, no object, nested deeper than MAX_DEPTH, a key twice in one object, or a number
            that is not finite.
    """
    if _depth(body) > MAX_DEPTH:
        raise SpecError(f"the body is nested more than {MAX_DEPTH} levels deep")
    try:
        found = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refused,
            parse_float=_finite,
        )
    except UnicodeDecodeError as error:
        raise SpecError("the body is not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise SpecError(f"the body is not JSON: {str(error)[:100]}") from error
    if not isinstance(found, dict):
        raise SpecError("the body is JSON, but no object")
    return Fields(found)


def read_form(body: bytes) -> "Fields":
    """Parse the object in the field `payload` of a form.

    Raises:
        SpecError: the form has another shape, or as `read_object`.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            strict_parsing=True,
            keep_blank_values=True,
            errors="strict",
            max_num_fields=1,
        )
    except ValueError as error:
        raise SpecError("the body is no form with the one field `payload`") from error
    if [name for name, _ in pairs] != ["payload"]:
        raise SpecError("the body is no form with the one field `payload`")
    return read_object(pairs[0][1].encode("utf-8"))


@dataclass(frozen=True)
class Fields:
    """A JSON object, asked by dotted paths such as `repository.id`.

    Attributes:
        data: what it holds.
    """

    data: Mapping[str, object]

    def at(self, path: str) -> object:
        """What stands there, None when there is nothing."""
        found: object = self.data
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    def text(self, path: str, limit: int = 255) -> str:
        """Text for people, without control characters and cut; empty when there is none."""
        return clean_text(self.at(path), limit)

    def id(self, path: str) -> str:
        """A numeric id as text, empty when there is none. Gitea's own actors have negative ones.

        Raises:
            SpecError: something else stands there.
        """
        found = self.at(path)
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, int) or abs(found) >= _LARGEST_ID:
            raise SpecError(f"`{path}` is no numeric id")
        return str(found)

    def number(self, path: str) -> int:
        """A number that must be there, 1 or more.

        Raises:
            SpecError: it is not.
        """
        found = int(self.id(path) or 0)
        if found < 1:
            raise SpecError(f"the delivery lacks `{path}`")
        return found

    def commit(self, path: str) -> str:
        """A full hash that must be there; empty when it is all zeros, which stands for no commit.

        Raises:
            SpecError: it is not.
        """
        found = self.at(path)
        if not isinstance(found, str) or not _HASH.fullmatch(found):
            raise SpecError(f"`{path}` is no full commit hash")
        return found if found.strip("0") else ""

    def head(self, path: str) -> str:
        """A full hash, empty when there is none: a pull request may have lost its branch.

        Raises:
            SpecError: something else stands there.
        """
        return self.commit(path) if self.at(path) else ""

    def ref(self, path: str, prefix: str = "") -> str:
        """The full name of a branch or tag that must be there.

        Args:
            path: where it stands.
            prefix: what the forge left out, such as `refs/heads/`.

        Raises:
            SpecError: it is not, or git would refuse it.
        """
        found = self.at(path)
        name = prefix + found if isinstance(found, str) else ""
        if not _REF.fullmatch(name) or len(name) > 1024 or ".." in name or _UNFIT.search(name):
            raise SpecError(f"`{path}` is no name of a branch or tag")
        return name


def clean_text(value: object, limit: int) -> str:
    """A text that every database and encoding takes: no control characters but tab and line feed, no lone surrogates."""
    return _UNFIT.sub("\ufffd", value[:limit]) if isinstance(value, str) else ""


def _depth(body: bytes) -> int:
    """How deep the brackets outside of texts go; linear, before any parser sees them."""
    brackets = _TEXT.sub(b"", body).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits[:30]} is no finite number")
    return number
