"""Plugins by entry point: listing names loads nothing, a plan loads only what it uses."""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from fiat.errors import EnvironmentFault


def plugin_names(port: str) -> tuple[str, ...]:
    """Names of the installed plugins of a port such as `deploy`, sorted."""
    return tuple(sorted(entry_points(group=f"fiat.{port}").names))


def load_plugin(port: str, name: str) -> Any:
    """The object behind an entry point of group `fiat.<port>`.

    Raises:
        EnvironmentFault: no such plugin is installed, or it can't be imported.
    """
    found: tuple[EntryPoint, ...] = tuple(entry_points(group=f"fiat.{port}", name=name))
    if not found:
        have = ", ".join(plugin_names(port)) or "none"
        raise EnvironmentFault(
            f"no {port} plugin is called {name}",
            hint=f"installed: {have}; plugins are packages such as fiat-torch",
        )
    try:
        return found[0].load()
    except ImportError as error:
        raise EnvironmentFault(
            f"{port} plugin {name} can't be imported: {error}",
            hint=f"reinstall the package of {found[0].value}",
        ) from error
