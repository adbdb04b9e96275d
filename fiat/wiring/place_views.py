"""What a runner shows of the places that models stand on: from the store alone, no target is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from fiat.engine.sight_marks import SightMarks
from fiat.run.deployment import Deployment, Hold
from fiat.run.view import Placement, PlaceView
from fiat.store.store import Store
from fiat.wiring.runner_settings import WatchedRepo
from fiat.wiring.web_address import commit_address


def view_places(store: Store, repository: WatchedRepo) -> list[PlaceView]:
    """Every place of a repository that a model is wanted on, by name."""
    seer = _Seer(store, repository)
    name = repository.policy.name
    found = store.deployments.standing(f"{name}:")
    holds = store.deployments.holds() if found else []
    return [
        seer.view(one.place, one, [hold for hold in holds if hold.place == one.place])
        for one in found
        if one.place.count(":") == _COLONS
    ]


def view_place(
    store: Store, repository: WatchedRepo, target: str, model: str, limit: int
) -> PlaceView | None:
    """One place with its newest deployments; None when nothing was ever put or held there."""
    place = f"{repository.policy.name}:{target}:{model}"
    history = store.deployments.newest(place, limit=limit)
    holds = store.deployments.holds(place)
    if not history and not holds:
        return None
    return _Seer(store, repository).view(place, store.deployments.wanted(place), holds, history)


_COLONS = 2  # `owner/name:target:model`


@dataclass
class _Seer:
    """Puts together what is known of a repository's places.

    Attributes:
        store: where it is known.
        repository: whose places they are.
    """

    store: Store
    repository: WatchedRepo
    _numbers: dict[tuple[str, str], int] = field(default_factory=dict)

    def view(
        self,
        place: str,
        wanted: Deployment | None,
        holds: Sequence[Hold],
        history: Sequence[Deployment] = (),
    ) -> PlaceView:
        repo, target, model = place.split(":")
        return PlaceView(
            repo=repo,
            target=target,
            model=model,
            standing=self._placement(wanted) if wanted is not None else None,
            holds=tuple(holds),
            seen=SightMarks(self.store).of(place),
            history=tuple(self._placement(one) for one in history),
        )

    def _placement(self, deployment: Deployment) -> Placement:
        released = (deployment.model, deployment.digest)
        if released not in self._numbers:
            self._numbers[released] = self.store.registry.number(*released)
        return Placement(
            deployment, self._numbers[released], commit_address(self.repository, deployment.commit)
        )
