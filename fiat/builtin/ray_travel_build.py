"""What is installed on a node of a Ray, and what of it is unlike the machine that a run comes from.

A step's fingerprint names the interpreter and the packages of that machine: a result of others would be remembered
under the wrong name.
"""

import os
import platform
import re
import sysconfig
from collections.abc import Iterator, Mapping
from importlib.metadata import version

from fiat.errors import EnvironmentFault

DISTRIBUTION = "fiat-ml"
Build = dict[str, dict[str, str]]
"""`fiat`, `python` and `packages`, each name to version: of built-in types, since other versions of Fiat read it."""
_NAMED = 3
# These install packages and are no part of what a program does; Fiat is looked at by itself.
_LEFT_OUT = frozenset({"pip", "setuptools", "wheel", "uv", DISTRIBUTION})


def build_here() -> Build:
    """What this interpreter is and has."""
    return {
        "fiat": {DISTRIBUTION: version(DISTRIBUTION)},
        "python": {platform.python_implementation(): f"{platform.python_version()} {platform.machine()}"},
        "packages": dict(_installed()),
    }


def check_build(theirs: Build, ours: Build, *, user_code: bool) -> None:
    """Refuse to run something here that would not be what it is there.

    Args:
        theirs: of the machine that the run comes from.
        ours: of this one.
        user_code: it is the user's code, whose result depends on all packages.

    Raises:
        EnvironmentFault: Fiat, the interpreter or a package that both have differs.
    """
    kinds = ("fiat", "python", "packages") if user_code else ("fiat",)
    unlike = [text for kind in kinds for text in _unlike(theirs.get(kind, {}), ours.get(kind, {}), kind)]
    if unlike:
        more = f" and {len(unlike) - _NAMED} more" if len(unlike) > _NAMED else ""
        raise EnvironmentFault(
            f"node {os.uname().nodename} has {', '.join(unlike[:_NAMED])}{more}",
            hint="install the same Fiat, Python and versions of packages on all nodes of the Ray",
        )


def _unlike(theirs: Mapping[str, str], ours: Mapping[str, str], kind: str) -> Iterator[str]:
    for name, wanted in sorted(theirs.items()):
        found = ours.get(name, "")
        if found != wanted and (found or kind != "packages"):
            shown = "Fiat" if kind == "fiat" else name
            yield f"{shown} {found or 'not'} instead of {wanted}"


def _installed() -> Iterator[tuple[str, str]]:
    """Distributions in the folders that a fresh process of this interpreter finds first."""
    folders = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    seen: set[str] = set(_LEFT_OUT)
    for folder in filter(os.path.isdir, folders):
        for entry in sorted(os.listdir(folder)):
            stem, dot, kind = entry.rpartition(".")
            if dot and kind == "dist-info":
                name, _, found = stem.partition("-")
                name = re.sub(r"[-_.]+", "-", name).lower()
                if name not in seen:
                    seen.add(name)
                    yield name, found
