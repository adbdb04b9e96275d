"""Which released model a training starts from, when its spec says `warm_start: baseline`."""

from collections.abc import Mapping
from dataclasses import dataclass

from fiat.engine.baseline import find_baseline
from fiat.plan.fingerprint import resume_key
from fiat.plan.training import WARM_ROLE
from fiat.run.model import Release, StepResult
from fiat.store.store import Store

TRAIN, MODEL = "train", "model"
_LOOKED_AT = 100
"""Releases of a model that are searched for this same work, from the newest on."""


@dataclass(frozen=True)
class Warm:
    """The answer of a look-up.

    Attributes:
        digest: of the trained model to start from, as its framework saved it; empty to start anew.
        reason: one sentence that says which it is, or why there is none.
    """

    digest: str
    reason: str


def find_warm(store: Store, model: str, wanted: Mapping[str, object] | None, step: str, key: str) -> Warm:
    """Look for the trained model of the newest release that the spec's `baseline:` names.

    A training that was released already starts from what it started from then, whatever was released since: its own release
    must not make the next run train again, and going back to a commit goes back to its model.

    Args:
        store: where releases are remembered.
        model: the model's name.
        wanted: the spec's section: one of `from` (branch), `alias`, `commit`.
        step: the step that asks, `train` or `tune`.
        key: of its work, see `work_key`.
    """
    own = _own_start(store, _matching(store, model, wanted or {}), step, key)
    if own is not None:
        return own
    found = find_baseline(store, model, wanted, candidate="")
    if found.release is None:
        return Warm("", f"starts anew: {found.reason}")
    trained = _steps_of(store, [found.release], TRAIN).get(found.release.run)
    artifact = trained.outputs.get(MODEL) if trained else None
    if artifact is None or not store.artifacts.check(artifact.digest):
        return Warm("", f"starts anew: the trained model of {found.reason} is gone from the store")
    return Warm(artifact.digest, f"starts from the model of {found.reason}")


def work_key(parts: Mapping[str, object]) -> str:
    """What the work of a training is known by, whatever model it starts from: its resume key without that, 64 hex digits.

    Args:
        parts: of its fingerprint.
    """
    return resume_key({**parts, "inputs": _without(parts.get("inputs"))})


def _own_start(store: Store, releases: list[Release], step: str, key: str) -> Warm | None:
    """What this same work started from when it was released; None when it never was."""
    steps = _steps_of(store, releases, step)
    results = store.results.find_many(found.fingerprint for found in steps.values())
    for release in releases:
        made = steps.get(release.run)
        result = results.get(made.fingerprint) if made else None
        if result is None or work_key(result.parts) != key:
            continue
        inputs = result.parts.get("inputs")
        digest = str(inputs.get(WARM_ROLE, "")) if isinstance(inputs, Mapping) else ""
        by = f"as run {release.run} did, which released this same work"
        return Warm(digest, f"starts from the same model {by}" if digest else f"starts anew {by}")
    return None


def _matching(store: Store, model: str, wanted: Mapping[str, object]) -> list[Release]:
    """Releases that the section names now or named once, the newest first."""
    releases = store.releases.newest(model, limit=_LOOKED_AT)
    branch, alias, commit = (str(wanted.get(key) or "") for key in ("from", "alias", "commit"))
    if alias:
        meant = {move.digest for move in store.registry.alias_moves(model) if move.alias == alias}
        return [release for release in releases if release.digest in meant]
    return [
        release
        for release in releases
        if (branch and release.branch == branch) or (commit and release.commit.startswith(commit))
    ]


def _steps_of(store: Store, releases: list[Release], name: str) -> dict[str, StepResult]:
    """That step of the runs that released, by the run's id.

    A run that reused everything and was killed right after its release is in no record: then the run counts that made
    what it reused.
    """
    found = store.runs.steps_of((release.run for release in releases), name)
    lost = {release.fingerprint: release.run for release in releases if release.run not in found}
    if lost:
        makers = {made.run: lost[made.fingerprint] for made in store.results.find_many(lost).values()}
        for maker, step in store.runs.steps_of(makers, name).items():
            found[makers[maker]] = step
    return found


def _without(inputs: object) -> dict[str, object]:
    return (
        {role: digest for role, digest in inputs.items() if role != WARM_ROLE}
        if isinstance(inputs, Mapping)
        else {}
    )
