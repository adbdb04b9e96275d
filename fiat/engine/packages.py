"""Versions of the installed packages that a step's code can reach."""

import hashlib
import json
import os
import platform
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distributions
from pathlib import Path

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")


def interpreter() -> str:
    """Implementation, version and platform of the interpreter that steps run in."""
    return (
        f"{platform.python_implementation()} {platform.python_version()} {sys.platform} {platform.machine()}"
    )


@dataclass
class Packages:
    """The distributions installed for this interpreter.

    Reading which imports belong to which distribution takes a moment, so it is kept in `cache` as long as the
    list of what is installed stays the same.

    Attributes:
        search: folders that distributions are installed in, usually `sys.path`.
        cache: file that the map is kept in.
    """

    search: Sequence[str]
    cache: Path
    _versions: dict[str, str] | None = field(default=None, repr=False)
    _map: dict[str, dict[str, list[str]]] | None = field(default=None, repr=False)

    def versions(self) -> dict[str, str]:
        """Every installed distribution and its version, by normalized name."""
        if self._versions is None:
            self._versions = dict(sorted(_listed(self.search)))
        return self._versions

    def reached_by(self, modules: Iterable[str]) -> dict[str, str]:
        """Versions of the distributions that these top-level modules come from, and of all they require."""
        versions = self.versions()
        graph = self._graph()
        waiting = [dist for module in modules for dist in graph["modules"].get(module, [])]
        found: dict[str, str] = {}
        while waiting:
            dist = waiting.pop()
            if dist in found or dist not in versions:
                continue
            found[dist] = versions[dist]
            waiting.extend(graph["requires"].get(dist, []))
        return dict(sorted(found.items()))

    def _graph(self) -> dict[str, dict[str, list[str]]]:
        if self._map is None:
            key = hashlib.sha256(json.dumps([list(self.search), self.versions()]).encode()).hexdigest()
            self._map = self._cached(key) or self._read(key)
        return self._map

    def _cached(self, key: str) -> dict[str, dict[str, list[str]]] | None:
        try:
            kept = json.loads(self.cache.read_text())
        except (OSError, ValueError):
            return None
        if isinstance(kept, dict) and kept.get("key") == key:
            return {"modules": kept["modules"], "requires": kept["requires"]}
        return None

    def _read(self, key: str) -> dict[str, dict[str, list[str]]]:
        modules: dict[str, list[str]] = {}
        requires: dict[str, list[str]] = {}
        for dist in distributions(path=list(self.search)):
            name = _normal(dist.metadata["Name"] or "")
            requires[name] = [
                _normal(match[0]) for line in dist.requires or [] if (match := _NAME.match(line))
            ]
            for module in _top_level(dist):
                modules.setdefault(module, []).append(name)
        graph = {"modules": modules, "requires": requires}
        try:
            temporary = self.cache.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps({"key": key, **graph}))
            temporary.replace(self.cache)
        except OSError:
            pass  # a store that can't be written says so where it matters
        return graph


def _listed(search: Sequence[str]) -> Iterable[tuple[str, str]]:
    seen: set[str] = set()
    for folder in search:
        try:
            entries = sorted(os.listdir(folder or "."))
        except OSError:
            continue
        for entry in entries:
            stem, dot, kind = entry.rpartition(".")
            if dot and kind == "dist-info":
                name, _, version = stem.partition("-")
                if _normal(name) not in seen:
                    seen.add(_normal(name))
                    yield _normal(name), version


def _top_level(dist: Distribution) -> set[str]:
    names = {part for part in (dist.read_text("top_level.txt") or "").split() if part}
    for file in dist.files or []:
        first = file.parts[0]
        if len(file.parts) == 1:
            stem = first.partition(".")[0]
            if first.endswith((".py", ".so", ".pyd")) and not stem.startswith("__editable__"):
                names.add(stem)
        elif not first.endswith((".dist-info", ".data")) and first != "..":
            names.add(first)
    return names


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
