"""Versions of the plugins that make results: part of every fingerprint, read without importing them."""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from fiat.builtin.versions import EXPORT_PACKAGES, STEP_VERSIONS
from fiat.engine.packages import Packages


def plugin_versions() -> Mapping[str, Mapping[str, str]]:
    """Step kind to the versions that can change its results: the plugin's own and its packages'."""
    installed = Packages(sys.path, Path("unused")).versions()
    versions: dict[str, dict[str, str]] = {}
    for kind, (version, packages) in STEP_VERSIONS.items():
        versions[kind] = {"version": version, **_picked(installed, packages)}
    exporters = [name for name in installed if name.startswith("fiat-") and name != "fiat-ml"]
    versions["export"] = {**versions["export"], **_picked(installed, (*exporters, *EXPORT_PACKAGES))}
    return versions


def _picked(installed: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    return {name: installed[name] for name in names if name in installed}
