"""What people call a model: `digits`, `digits@champion`, `digits@3`, `digits@1dcf8e`, a package's digest, or its folder.

Without more the newest release is meant; of a digest the beginning will do. A runner's models have their repository before
them, `acme/models:digits`; that may be left out where only one model ends so.
"""

import difflib
import os
import pwd
import re
from dataclasses import dataclass
from pathlib import Path

from fiat.errors import EnvironmentFault, SpecError
from fiat.model.package_files import MANIFEST
from fiat.run.registry import ModelVersion
from fiat.store.store import Store
from fiat.store.trees import digest_tree, hash_bytes, write_tree

_DIGEST = re.compile(r"^[0-9a-f]{6,32}(\.dir)?$")


@dataclass(frozen=True)
class Named:
    """What a name means.

    Attributes:
        model: name of the model; empty for a package that was never released.
        digest: of the package.
        version: among those of the model; None for a package that was never released.
    """

    model: str
    digest: str
    version: ModelVersion | None = None


def resolve_name(store: Store, name: str) -> Named | None:
    """The package that a name means; None when no model is called so.

    Args:
        store: where releases are remembered.
        name: see the module.

    Raises:
        SpecError: several models or packages are meant, or the model has no such version.
    """
    if (Path(name) / MANIFEST).is_file():
        return _by_digest(store, folder_digest(Path(name)))
    base, _, word = name.partition("@")
    model = resolve_model(store, base)
    newest = store.releases.last(model) if model is not None else None
    if model is not None and newest is not None:
        found = pick_version(store.registry.versions(model), word or newest.digest)
        return Named(model, found.digest, found)
    if word or not _DIGEST.match(base):
        return None
    return _by_digest(store, base)


def require_name(store: Store, name: str) -> Named:
    """Like `resolve_name`, for a model that was released.

    Raises:
        SpecError: there is none of that name, or several.
    """
    found = resolve_name(store, name)
    if found is not None:
        return found
    known = store.registry.names()
    near = difflib.get_close_matches(name.partition("@")[0], known, n=3)
    hint = f"did you mean {' or '.join(near)}" if near else "`fiat models` lists those that were released"
    raise SpecError(f"no model {name!r} was released", hint=hint)


def resolve_model(store: Store, name: str) -> str | None:
    """The full name of a model; None when none is called so.

    Raises:
        SpecError: several repositories have a model of this name.
    """
    known = store.registry.names()
    if name in known:
        return name
    alike = [model for model in known if model.endswith(f":{name}")] if name else []
    if len(alike) > 1:
        raise SpecError(f"several models are called {name}", hint=f"write one of {', '.join(alike)}")
    return alike[0] if alike else None


def pick_version(versions: list[ModelVersion], word: str) -> ModelVersion:
    """The version that a word means.

    Args:
        versions: of one model, one or more.
        word: a number, an alias, or a package's digest or the beginning of it, tried in this order.

    Raises:
        SpecError: it has no such version.
    """
    if word.isdigit() and 1 <= int(word) <= len(versions):
        return versions[int(word) - 1]
    for version in versions:
        if word in version.aliases:
            return version
    alike = [one for one in versions if _DIGEST.match(word) and one.digest.startswith(word)]
    if len(alike) == 1:
        return alike[0]
    model, aliases = versions[0].model, sorted({alias for one in versions for alias in one.aliases})
    known = f"versions 1 to {len(versions)}" if len(versions) > 1 else "version 1"
    raise SpecError(
        f"{model} has no version {word}",
        hint=f"it has {known}" + (f" and the aliases {', '.join(aliases)}" if aliases else ""),
    )


def folder_digest(folder: Path) -> str:
    """Digest of a package that lies in a folder: MD5 in DVC's way, with `.dir` behind it.

    Raises:
        EnvironmentFault: it can't be read.
    """
    try:
        paths = [path for path in folder.rglob("*") if not path.is_dir()]
        return digest_tree(
            write_tree((path.relative_to(folder).as_posix(), hash_bytes(path.read_bytes())) for path in paths)
        )
    except OSError as error:
        raise EnvironmentFault(
            f"{folder} can't be read: {error.strerror}", hint="check its rights"
        ) from error


def acting_person() -> str:
    """Who runs this program: `FIAT_USER`, or the name of its user."""
    if named := os.environ.get("FIAT_USER"):
        return named
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"user {os.geteuid()}"


def _by_digest(store: Store, start: str) -> Named | None:
    owners = store.registry.owners(start)
    digests = sorted({digest for _, digest in owners})
    if len(digests) > 1:
        raise SpecError(
            f"several packages start with {start}", hint=f"write more of it: {', '.join(digests[:5])}"
        )
    if not owners:
        return Named("", start) if start.endswith(".dir") else None
    model, digest = owners[0]
    return Named(model, digest, pick_version(store.registry.versions(model), digest))
