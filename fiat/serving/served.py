"""The models of a server: which versions answer, which get copies, which could not be loaded. Changed by one reference."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from fiat.serving.batcher import Batcher
from fiat.serving.loaded import LoadedVersion
from fiat.serving.release import LogPlan, ReleaseManifest, Version
from fiat.serving.shadow import Shadow
from fiat.serving.tally import Tally
from fiat.serving.traffic import Weight, choose, is_copied

_MOST_REMEMBERED = 32


@dataclass(frozen=True)
class Running:
    """A version that answers.

    Attributes:
        loaded: it.
        batcher: runs its requests.
    """

    loaded: LoadedVersion
    batcher: Batcher


@dataclass(frozen=True)
class ServedModel:
    """What answers for a model. Never changes: a swap puts another one in its place.

    Attributes:
        name: that clients use.
        serial: of the manifest that it is after.
        stable: the version that copies are compared with; it answers when the split has nobody.
        versions: name to version.
        answering: versions that get requests that name none.
        weights: of them, in the same order.
        shadows: versions that get copies, and how many.
        log: what is written down.
    """

    name: str
    serial: int
    stable: Running
    versions: Mapping[str, Running]
    answering: tuple[Running, ...]
    weights: tuple[Weight, ...]
    shadows: tuple[tuple[Weight, Running, Shadow], ...] = ()
    log: LogPlan | None = None

    def pick(self, key: str) -> Running:
        """The version that answers a key."""
        return self.answering[choose(key, self.weights)]

    def copies(self, key: str, answered_by: Running) -> list[tuple[Running, Shadow]]:
        """Shadows that get a copy of a request: only what the stable version answered can be compared."""
        if answered_by is not self.stable:
            return []
        return [(running, shadow) for weight, running, shadow in self.shadows if is_copied(key, weight)]


@dataclass(frozen=True)
class Refusal:
    """A version that could not be loaded.

    Attributes:
        version: it.
        reason: for people.
    """

    version: Version
    reason: str


@dataclass(frozen=True)
class Gone:
    """What is kept of a version that answered before: its session is not.

    Attributes:
        version: it.
        load_s: how long it took to load.
        tally: what it counted.
    """

    version: Version
    load_s: float
    tally: Tally


@dataclass
class ModelState:
    """A model at this server.

    Attributes:
        name: that clients use.
        serial: of the newest manifest that was looked at.
        served: what answers; None before the first version was loaded.
        loading: versions that are being loaded.
        refused: versions of the newest manifest that could not be.
        gone: digest to versions that answered before, newest last; their counts go on when they come back.
    """

    name: str
    serial: int = 0
    served: ServedModel | None = None
    loading: tuple[Version, ...] = ()
    refused: tuple[Refusal, ...] = ()
    gone: OrderedDict[str, Gone] = field(default_factory=OrderedDict)

    @property
    def is_ready(self) -> bool:
        """Whether it can answer."""
        return self.served is not None


def compose(manifest: ReleaseManifest, running: Sequence[Running], before: ServedModel | None) -> ServedModel:
    """What answers once these versions of a manifest are loaded.

    Args:
        manifest: desired state.
        running: its versions, in its order; those that could not be loaded are missing, and their share goes to the
            others.
        before: what answers now, for shadows that go on.
    """
    by_name = {item.loaded.version.name: item for item in running}
    wanted = {version.name: version for version in manifest.versions}
    shared = [item for item in running if wanted[item.loaded.version.name].percent > 0] or list(running[:1])
    weights = tuple(_weight(wanted[item.loaded.version.name]) for item in shared)
    if all(weight.percent <= 0 for weight in weights):
        weights = tuple(replace(weight, percent=100.0) for weight in weights)
    kept = {item.loaded.version.digest: shadow for _, item, shadow in before.shadows} if before else {}
    shadows = []
    for item in running:
        version = wanted[item.loaded.version.name]
        if version.shadow_percent > 0 and item is not running[0]:
            shadow = kept.get(version.digest) or Shadow(item.loaded)
            shadows.append((Weight(version.digest, version.shadow_percent), item, shadow))
    return ServedModel(
        name=manifest.model,
        serial=manifest.serial,
        stable=running[0],
        versions=by_name,
        answering=tuple(shared),
        weights=weights,
        shadows=tuple(shadows),
        log=manifest.log,
    )


def retire(state: ModelState, before: ServedModel | None, after: ServedModel) -> None:
    """Let go of what answered before and does not any more: threads end when their last request is answered.

    Its counts stay, so that its last requests are not lost to who counts.
    """
    if before is None:
        return
    left = {id(item) for item in after.versions.values()}
    shadowing = {id(shadow) for _, _, shadow in after.shadows}
    for _, _, shadow in before.shadows:
        if id(shadow) not in shadowing:
            shadow.close()
    for item in before.versions.values():
        if id(item) not in left:
            item.batcher.close()
            loaded = item.loaded
            state.gone[loaded.version.digest] = Gone(loaded.version, loaded.load_s, loaded.tally)
            state.gone.move_to_end(loaded.version.digest)
    while len(state.gone) > _MOST_REMEMBERED:
        state.gone.popitem(last=False)


def _weight(version: Version) -> Weight:
    return Weight(version.digest, version.percent)
