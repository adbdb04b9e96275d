"""Which earlier description of data a new one is compared with."""

from collections.abc import Mapping

from fiat.plan.prepared import PREVIOUS as PREVIOUS_REF
from fiat.run.model import Result
from fiat.store.store import Store

PREVIOUS = PREVIOUS_REF.step
REFUSED = "refused"


def find_previous(store: Store, spec: str, step: str, dataset: str) -> str:
    """The digest of the profile that a check of this dataset is compared with; empty when there is none.

    It is that of the newest accepted data before this dataset was first seen. So running again compares with the same
    and is reused, data that were refused are never what later data are measured by, and going back to a commit goes
    back to what it was compared with.

    Args:
        store: where results are remembered.
        spec: the spec's name.
        step: the check's name.
        dataset: digest of the dataset that is checked.
    """
    seen = store.results.history(spec, step)
    first = next((at for at, result in enumerate(seen) if _dataset(result) == dataset), len(seen))
    for result in reversed(seen[:first]):
        profile = result.outputs.get(PREVIOUS_REF.output)
        if profile is not None and not result.facts.get(REFUSED) and store.artifacts.check(profile.digest):
            return profile.digest
    return ""


def _dataset(result: Result) -> object:
    inputs = result.parts.get("inputs")
    return inputs.get("dataset") if isinstance(inputs, Mapping) else None
