"""Which files of the checkout the spans of a dataset are: those that are used, and no other, make its fingerprint."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from fiat.data.confined import matching_files
from fiat.data.spans import pick_files, span_pattern, wanted_span
from fiat.errors import SpecError
from fiat.plan.model import Step
from fiat.ports.confinement import Confinement


def span_files(step: Step, name: str, root: Path, policy: Confinement) -> tuple[Path, ...]:
    """The files of the spans that a data step uses.

    None where its span can't be understood or nothing fits: the step itself then says so, with the nearest names.

    Args:
        step: with `span` among its params.
        name: pattern of all spans, relative to the checkout.
        root: of the checkout.
        policy: what is granted.
    """
    text, use = wanted_span(step.params["span"])
    source = step.params.get("source")
    base = source.get("path") if isinstance(source, Mapping) else None
    try:
        pattern = span_pattern(str(PurePosixPath(str(base or "."), text)))
        found = [
            path for each in (name, f"{name}/**") for path in matching_files(each, root, policy, step.key)
        ]
        names = {_name(path, root): path for path in found}
        picked = pick_files(pattern, names, use)
    except SpecError:
        return ()
    return tuple(names[each] for each in sorted(picked.files))


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
