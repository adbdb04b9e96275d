"""Reports and happenings as JSON text with the name of their kind, and back."""

from dataclasses import asdict, fields
from typing import Any

from fiat.run.delivery import Commented, Happening, PullChanged, Pushed, Rerequested
from fiat.run.report import Annotation, Check, Deployed, PullComment, Report
from fiat.store.rows import pack, unpack

_REPORTS: dict[str, type[Any]] = {"check": Check, "comment": PullComment, "deployed": Deployed}
_HAPPENINGS: dict[str, type[Any]] = {
    "pushed": Pushed,
    "pull": PullChanged,
    "commented": Commented,
    "rerequested": Rerequested,
}


def pack_report(report: Report) -> str:
    """The report as text; equal reports are equal text."""
    return pack(_tagged(report, _REPORTS))


def unpack_report(text: str) -> Report:
    """What `pack_report` was given.

    Raises:
        ValueError: the text is no report.
    """
    found = _made(unpack(text), _REPORTS)
    if isinstance(found, Check):
        # asdict went into the annotations, too; they come back as mappings.
        annotations = tuple(_plain_made(Annotation, item) for item in found.annotations)
        return Check(**{**_shallow(found), "annotations": annotations})
    if isinstance(found, (PullComment, Deployed)):
        return found
    raise ValueError("no report")


def pack_happenings(happenings: tuple[Happening, ...]) -> str:
    """What a delivery tells as text."""
    return pack([_tagged(one, _HAPPENINGS) for one in happenings])


def unpack_happenings(text: str) -> tuple[Happening, ...]:
    """What `pack_happenings` was given.

    Raises:
        ValueError: the text tells something unknown.
    """
    return tuple(_made(one, _HAPPENINGS) for one in unpack(text))


def _tagged(value: Any, kinds: dict[str, type[Any]]) -> dict[str, object]:
    for name, kind in kinds.items():
        if type(value) is kind:
            return {"kind": name, **asdict(value)}
    raise TypeError(f"{type(value).__name__} has no kind here")


def _made(packed: dict[str, Any], kinds: dict[str, type[Any]]) -> Any:
    kind = kinds.get(str(packed.get("kind")))
    if kind is None:
        raise ValueError(f"{packed.get('kind')!r} is no kind of what is kept here")
    return _plain_made(kind, packed)


def _plain_made(kind: type[Any], packed: Any) -> Any:
    """A field that a later Fiat added is left out, so that going back a version loses no report."""
    known = {one.name for one in fields(kind)}
    return kind(**{name: value for name, value in packed.items() if name in known})


def _shallow(value: Any) -> dict[str, Any]:
    return {one.name: getattr(value, one.name) for one in fields(value)}
