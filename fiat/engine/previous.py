"""Which earlier description of data a new one is compared with."""

from collections.abc import Mapping

from fiat.plan.prepared import COMPARED_WITH
from fiat.plan.prepared import PREVIOUS as PREVIOUS_REF
from fiat.plan.prepared import SERVING as SERVING_REF
from fiat.run.model import Result
from fiat.store.store import Store

PREVIOUS, SERVING = PREVIOUS_REF.step, SERVING_REF.step
REFUSED = "refused"


def find_previous(store: Store, spec: str, step: str, dataset: str) -> str:
    """The digest of the profile that a check of this dataset is compared with; empty when there is none.

    It is that of the newest accepted data before this dataset was first seen; data that were refused are passed over
    for what they themselves were compared with, so that it is not forgotten with old runs. Running again compares with
    the same and is reused, and going back to a commit goes back to what it was compared with.

    Args:
        store: where results are remembered.
        spec: the spec's name.
        step: the check's name.
        dataset: digest of the dataset that is checked.
    """
    seen = store.results.history(spec, step)
    first = next((at for at, result in enumerate(seen) if _input(result, "dataset") == dataset), len(seen))
    known = [_input(seen[first], COMPARED_WITH)] if first < len(seen) else []
    known += [_left(result) for result in reversed(seen[:first])]
    return next((digest for digest in known if digest and store.artifacts.check(digest)), "")


def _left(result: Result) -> str:
    """What later data are compared with because of this check: its data when they were accepted, else their previous."""
    profile = result.outputs.get(PREVIOUS_REF.output)
    if result.facts.get(REFUSED) or profile is None:
        return _input(result, COMPARED_WITH)
    return profile.digest


def _input(result: Result, role: str) -> str:
    inputs = result.parts.get("inputs")
    return str(inputs.get(role) or "") if isinstance(inputs, Mapping) else ""
