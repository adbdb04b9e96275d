"""What a service says of itself: read from its files, its processes and its server, changed by nothing here."""

from collections.abc import Iterator

from fiat.builtin.deploy_service_package import changed_files
from fiat.builtin.service_command import HOST
from fiat.builtin.service_health import asks_ready
from fiat.builtin.service_ledger import Ledger, manifest_of, read_ledger
from fiat.builtin.service_process import SILENT_S, keeper_of, keeper_silent_s, read_record
from fiat.builtin.service_wanted import Wanted, read_wanted
from fiat.errors import FiatError
from fiat.ports.deploy import Phase, Share, TargetState
from fiat.serving.counts import read_workers
from fiat.serving.place import Place
from fiat.serving.release import read_manifest
from fiat.serving.rollout_plan import seconds_words


def look(place: Place, now_s: float) -> TargetState:
    """The state of a service.

    Args:
        place: of it.
        now_s: seconds since 1970.
    """
    try:
        wanted, ledger = read_wanted(place.wanted), read_ledger(place.rollout)
    except FiatError as error:
        return TargetState("broken", sentence=error.message, faults=(error.message,))
    if wanted is None:
        return TargetState("absent", sentence="no model is here")
    if wanted.stop:
        return TargetState("absent", sentence="the service was stopped")
    known = ledger or Ledger()
    faults = tuple(_faults(place, known))
    record, refusal = read_record(place.server), known.refused
    version = known.stable if known.moving is None and known.stable else wanted.version
    refused_it = refusal is not None and refusal.wanted == wanted.serial
    manifest = manifest_of(known)
    return TargetState(
        phase=_phase(known, wanted, refused_it=refused_it, broken=bool(faults)),
        digest=None if known.stable is None and refused_it else version.digest,
        sentence=_sentence(known, wanted, now_s),
        url=record.url if record else "",
        shares=tuple(Share(v.digest, v.percent, v.shadow_percent) for v in manifest.versions)
        if manifest
        else (),
        refused=refusal.digest if refusal else "",
        refused_generation=refusal.generation if refusal else 0,
        reason=refusal.reason if refusal else "",
        faults=faults,
    )


def _phase(ledger: Ledger, wanted: Wanted, *, refused_it: bool, broken: bool) -> Phase:
    if broken:
        return "broken"
    moving = ledger.moving
    if moving is None or ledger.wanted != wanted.serial:
        if refused_it:
            return "failed"
        return "serving" if ledger.wanted == wanted.serial else "rolling"
    state = moving.rollout
    if state is None:
        return "rolling"
    if state.phase == "paused":
        return "paused"
    return "baking" if moving.plan.stages[state.stage].kind == "bake" else "rolling"


def _sentence(ledger: Ledger, wanted: Wanted, now_s: float) -> str:
    if not ledger.events:
        return f"version {wanted.version.name} is asked for"
    last = ledger.events[-1]
    return f"{last.sentence} (since {seconds_words(max(0.0, now_s - last.at_s))})"


def _faults(place: Place, ledger: Ledger) -> Iterator[str]:
    keeper, record = keeper_of(place), read_record(place.server)
    if keeper is None or not keeper.alive:
        yield "its keeper is gone"
    elif keeper_silent_s(place) > SILENT_S:
        yield "its keeper stands still"
    manifest = manifest_of(ledger)
    if manifest is None:
        return
    if record is None or not record.process.alive:
        yield "its server is gone"
    elif not asks_ready(HOST, record.port)[0]:
        yield "its server does not answer"
    try:
        if read_manifest(place.manifest) != manifest:
            yield "what its servers follow is not what was decided"
    except FiatError:
        yield "what its servers follow can't be read"
    for version in (ledger.stable, ledger.moving.version if ledger.moving else None):
        if version is not None:
            for name in changed_files(place.folder / version.folder, version.digest):
                yield f"{name} of version {version.name} is gone or was changed"
    yield from _told(place, ledger)


def _told(place: Place, ledger: Ledger) -> Iterator[str]:
    """What workers say that is not as it should be; only those that live are asked."""
    stable = ledger.stable
    if stable is None:
        return
    for worker in read_workers(place.counts):
        told = {version.digest: version for version in worker.versions.get(ledger.model, ())}
        found = told.get(stable.digest)
        if found is not None and found.state == "failed":
            yield f"worker {worker.worker} can't use version {stable.name}: {found.reason}"
        elif found is None and worker.serial == ledger.serial:
            yield f"worker {worker.worker} does not have version {stable.name}"
