"""What a rollback goes back to: the model that was released before the one that stands now."""

from collections.abc import Iterator, Sequence

from fiat.engine.specs_at import SpecsAt
from fiat.engine.watched import Watched
from fiat.plan.build import model_name
from fiat.run.model import Release
from fiat.store.store import Store

_MOST_RELEASES = 1000


def released(store: Store, specs: SpecsAt, watched: Watched, spec: str) -> list[Release]:
    """Releases of a spec's model, the newest first; a spec that is no longer there is known by its name.

    Args:
        store: with releases.
        specs: reads specs.
        watched: the repository.
        spec: name or path.

    Raises:
        EnvironmentFault: git refused.
    """
    for model in dict.fromkeys((*_models(store, specs, watched, spec), spec)):
        if found := store.releases.newest(f"{watched.policy.name}:{model}", limit=_MOST_RELEASES):
            return found
    return []


def _models(store: Store, specs: SpecsAt, watched: Watched, spec: str) -> Iterator[str]:
    """What the spec calls its model on the branches that deploy."""
    for change in store.changes.heads(watched.policy.name):
        if not watched.policy.protects(change.ref) or not watched.mirror.has(change.commit):
            continue
        paths = watched.mirror.spec_files(change.commit, watched.policy.specs)
        for card in specs.cards(watched, change.commit, paths):
            if card.loaded is not None and spec in (card.name, card.path):
                yield model_name(card.loaded.spec)


def left_behind(store: Store, repo: str) -> frozenset[str]:
    """Packages of a repository that are held somewhere and stand nowhere: a rollout refused them, or somebody went back.

    Args:
        store: with deployments and holds.
        repo: `owner/name`.
    """
    prefix = f"{repo}:"
    held = {hold.digest for hold in store.deployments.holds() if hold.place.startswith(prefix)}
    return frozenset(held - {one.digest for one in store.deployments.standing(prefix)} - {""})


def went_before(releases: Sequence[Release]) -> Release | None:
    """The release to go back to; None when there is none.

    A release of a commit that had released the same model before is one that somebody went back to: what came in between
    was left for a reason. So what counts is what came before its first time.

    Args:
        releases: of one model, the newest first.
    """
    if not releases:
        return None
    stands = releases[0]
    line = [one for one in releases if one.branch == stands.branch]
    first = max(
        place for place, one in enumerate(line) if (one.commit, one.digest) == (stands.commit, stands.digest)
    )
    return next((one for one in line[first:] if one.digest != stands.digest), None)
