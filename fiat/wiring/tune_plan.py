"""What a plan says of the best parameters once they are known."""

import json
from dataclasses import replace

from fiat.builtin.study_record import params_text
from fiat.engine.walk import Walk
from fiat.errors import FiatError
from fiat.plan.model import Decision, Plan
from fiat.plan.training import BEST, TUNE
from fiat.store.store import Store


def with_best(decisions: tuple[Decision, ...], plan: Plan, walk: Walk, store: Store) -> tuple[Decision, ...]:
    """The decisions, in which the search and what is trained after it say which parameters were the best.

    Args:
        decisions: one a step of the plan, in its order.
        plan: that they are of.
        walk: over the plan, as far as it goes.
        store: holds what the search found.
    """
    found = _best(walk, store)
    if not found:
        return decisions
    readers = {step.name for step in plan.steps if TUNE in step.inputs}
    return tuple(
        replace(item, reasons=(*item.reasons, f"trained with the best parameters: {found}"))
        if item.step in readers
        else replace(item, reasons=(_said(item, found), *item.reasons[1:]))
        if item.step == TUNE
        else item
        for item in decisions
    )


def _said(item: Decision, found: str) -> str:
    return "; ".join([*item.reasons[:1], f"best: {found}"])


def _best(walk: Walk, store: Store) -> str:
    """The parameters of the best trial in one line; empty while nobody knows them."""
    artifact = walk.output(TUNE, BEST)
    if artifact is None:
        return ""
    try:
        document = json.loads(store.artifacts.object_path(artifact.digest).read_text("utf-8"))
        return params_text(document["params"])
    except (FiatError, OSError, ValueError, KeyError, TypeError):
        return ""
