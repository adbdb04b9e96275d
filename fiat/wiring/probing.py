"""What the sources of a spec are now, asked with what the operator grants and within limits."""

from collections.abc import Callable
from functools import partial
from typing import cast

from fiat.engine.schedule import Probing, probe_data
from fiat.engine.specs_at import Read
from fiat.engine.ticks import Probe
from fiat.engine.watched import Watched
from fiat.ports.source import Source
from fiat.spec.model import Spec
from fiat.store.faults import disk_faults
from fiat.wiring.errand_desk import confinement
from fiat.wiring.probe_limits import Budget, Watchdog
from fiat.wiring.registry import load_plugin
from fiat.wiring.runner_parts import Parts
from fiat.wiring.settings import DEFAULT_DOWNLOAD_BYTES

_OVER_HTTP = ("url", "dvc")
# What ends in time by itself is told apart from what hangs.
_GRACE_S = 5.0


def probe_sources(parts: Parts, budget: Callable[[], Budget] = Budget) -> Probe:
    """A function that gives a digest of what the data of a spec is now; empty when it can't change without a commit.

    Args:
        parts: of the runner.
        budget: gives what one look may cost.
    """
    watchdog = Watchdog()

    def probe(watched: Watched, commit: str, read: Read) -> str:
        if read.loaded is None:
            return ""
        files = {path: blob.oid for path, blob in watched.mirror.files(commit).items()}
        spent = budget()
        look = partial(_look, parts, watched, read.loaded.spec, files, spent)
        return watchdog.run(f"{watched.policy.name} {read.path}", look, spent.seconds + _GRACE_S)

    return probe


def _look(parts: Parts, watched: Watched, spec: Spec, files: dict[str, str], budget: Budget) -> str:
    folder = parts.settings.store / "tmp"
    with disk_faults(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probing = Probing(
            folder=folder,
            confinement=confinement(watched.policy),
            allow_private_hosts=watched.policy.allow_private_hosts,
            max_bytes=DEFAULT_DOWNLOAD_BYTES,
            env={name: parts.settings.secrets[name] for name in watched.policy.secrets},
        )
        return probe_data(spec, files, partial(_source, budget), probing)


def _source(budget: Budget, kind: str) -> Source:
    make = load_plugin("source", kind)
    return cast(Source, make(budget.client) if kind in _OVER_HTTP else make())
