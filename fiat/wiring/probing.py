"""What the sources of a spec are now, asked with what the operator grants."""

from typing import cast

from fiat.engine.schedule import Probing, probe_data
from fiat.engine.specs_at import Read
from fiat.engine.ticks import Probe
from fiat.engine.watched import Watched
from fiat.ports.source import Source
from fiat.store.faults import disk_faults
from fiat.wiring.errand_desk import confinement
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_parts import Parts
from fiat.wiring.settings import DEFAULT_DOWNLOAD_BYTES


def probe_sources(parts: Parts) -> Probe:
    """A function that gives a digest of what the data of a spec is now; empty when it can't change without a commit."""

    def probe(watched: Watched, commit: str, read: Read) -> str:
        if read.loaded is None:
            return ""
        folder = parts.settings.store / "tmp"
        with disk_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
            files = {path: blob.oid for path, blob in watched.mirror.files(commit).items()}
            probing = Probing(
                folder=folder,
                confinement=confinement(watched.policy),
                allow_private_hosts=watched.policy.allow_private_hosts,
                max_bytes=DEFAULT_DOWNLOAD_BYTES,
                env={},
            )
            return probe_data(read.loaded.spec, files, _source, probing)

    return probe


def _source(kind: str) -> Source:
    return cast(Source, load_plugin("source", kind)())
