"""Make the compute that the settings name."""

from pathlib import Path
from typing import cast

from fiat.ports.compute import Compute
from fiat.wiring.registry import load_plugin
from fiat.wiring.settings import Settings


def make_compute(name: str, settings: Settings, state_dir: Path) -> Compute:
    """A compute that has not started.

    Raises:
        EnvironmentFault: no such plugin.
    """
    kind = load_plugin("compute", name)
    if name == "ray":
        return cast(Compute, kind(state_dir, address=settings.ray_address, carrier=settings.carrier))
    return cast(Compute, kind())
