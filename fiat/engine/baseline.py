"""Which released model a new one is compared with."""

from collections.abc import Mapping
from dataclasses import dataclass

from fiat.plan.judge import BASELINE as BASELINE_REF
from fiat.run.model import Release
from fiat.store.store import Store

BASELINE = BASELINE_REF.step


@dataclass(frozen=True)
class Baseline:
    """The answer of a look-up.

    Attributes:
        release: the model to compare with, None when there is none.
        reason: one sentence that says which it is, or why there is none.
    """

    release: Release | None
    reason: str


def find_baseline(store: Store, model: str, wanted: Mapping[str, object] | None, candidate: str) -> Baseline:
    """Look for the released model that the spec's `baseline:` names.

    The candidate itself is never its own baseline: a model that was released already is still compared with the one
    before it, so that running again changes nothing.

    Args:
        store: where releases are remembered.
        model: the model's name.
        wanted: the spec's section: one of `from` (branch), `alias`, `commit`; None when it has none.
        candidate: fingerprint of the candidate's export step.
    """
    if not wanted:
        return Baseline(None, "the spec names no baseline")
    branch, alias, commit = (wanted.get(key) for key in ("from", "alias", "commit"))
    said = f"branch {branch}" if branch else f"alias {alias}" if alias else f"commit {commit}"
    release = store.releases.last(
        model,
        branch=str(branch) if branch else None,
        alias=str(alias) if alias else None,
        commit=str(commit) if commit else None,
        not_fingerprint=candidate,
        # What clients were spared is nothing to measure up to; a commit or an alias is what somebody names.
        not_refused=bool(branch),
    )
    if release is None:
        return Baseline(None, f"no earlier model of {model} was released from {said}")
    if not store.artifacts.check(release.digest):
        return Baseline(
            None, f"the package of run {release.run}, released from {said}, is gone from the store"
        )
    return Baseline(release, f"run {release.run}, released from {said}")
