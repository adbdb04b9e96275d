"""Large files go by the store's remote: a machine with many nodes need not send the same to each of them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import ray
from ray.exceptions import RayTaskError

from fiat.builtin.ray_desk_door import REMOTE
from fiat.builtin.ray_node import NodeFolder
from fiat.builtin.ray_travel_parcel import Item
from fiat.data.dvc_carry import Carrier
from fiat.errors import EnvironmentFault


def fetch_large(
    desk: Any, node: NodeFolder, carrier: Carrier | None, scratch: Path, items: Sequence[Item]
) -> str:
    """Fetch what is large enough from the remote, after the desk has sent it there.

    What does not come this way is left to be sent in pieces.

    Args:
        desk: beside the store.
        node: the folder that it comes into.
        carrier: how; None when the store has no remote.
        scratch: folder of the job, for DVC's own files.
        items: what is missing.

    Returns:
        Why it did not work; empty when it did.

    Raises:
        RayError: the way home is cut.
    """
    if carrier is None:
        return ""
    large = {item.digest: item for item in items if item.size_bytes >= carrier.least_bytes}
    try:
        if not large:
            return ""
        push = desk.push.options(concurrency_group=REMOTE)
        sent: frozenset[str] = ray.get(push.remote(sorted(large)))
        carrier.carry("fetch", sorted(sent), cache=node.folder, scratch=scratch)
    except (EnvironmentFault, RayTaskError) as fault:
        return _reason(fault)
    refused = [large[digest].path for digest in sent if not node.adopt(large[digest])]
    return f"the store's remote gave something else for {refused[0]}" if refused else ""


def send_large(
    desk: Any,
    carrier: Carrier | None,
    draft: str,
    scratch: Path,
    sources: Mapping[str, Path],
    items: Sequence[Item],
) -> tuple[frozenset[str], str]:
    """Send what is large enough to the remote, and let the desk fetch it from there.

    Args:
        desk: beside the store.
        carrier: how; None when the store has no remote.
        draft: the desk's folder for it.
        scratch: folder of the job, for DVC's own files.
        sources: digest to where it lies.
        items: what is missing at home.

    Returns:
        The digests that are at home now, and why others are not: empty when they are.

    Raises:
        RayError: the way home is cut.
        OSError: the disk refused.
    """
    if carrier is None:
        return frozenset(), ""
    large = sorted({item.digest for item in items if item.size_bytes >= carrier.least_bytes})
    if not large:
        return frozenset(), ""
    try:
        with TemporaryDirectory(dir=scratch) as folder:
            cache = Path(folder) / "cache"
            for digest in large:
                place = cache / "files" / "md5" / digest[:2] / digest[2:]
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(sources[digest])
            carrier.carry("push", large, cache=cache, scratch=Path(folder))
        ray.get(desk.fetch.options(concurrency_group=REMOTE).remote(draft, large))
    except (EnvironmentFault, RayTaskError) as fault:
        return frozenset(), _reason(fault)
    return frozenset(large), ""


def _reason(fault: Exception) -> str:
    with suppress(AttributeError):
        return str(fault.message)  # type: ignore[attr-defined]  # of an EnvironmentFault, also one from the desk
    return str(fault).strip().splitlines()[-1]
