"""The warm Ray of `fiat up` and `fiat down`."""

from pathlib import Path

from fiat.builtin import ray_up
from fiat.builtin.ray_state import HostInfo


def start_cluster(state_dir: Path, *, cpus: int | None, gpus: int | None) -> HostInfo:
    """Start a Ray head that stays, or give the one that is there."""
    return ray_up.up(state_dir, cpus=cpus, gpus=gpus)


def stop_cluster(state_dir: Path) -> bool:
    """Stop it; False when there was none."""
    return ray_up.down(state_dir)
