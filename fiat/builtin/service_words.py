"""What `fiat plan` says of a service: how its traffic moves, and how long a promotion and a way back take."""

from collections.abc import Mapping
from typing import Any, cast

from fiat.builtin.service_plan import rollout_plan
from fiat.serving.rollout_plan import describe


def rollout_words(settings: Mapping[str, object]) -> str:
    """Sentences about the rollout of a target.

    Args:
        settings: what a spec says under `deploy.<target>`, JSON values.
    """
    return describe(rollout_plan(cast(Mapping[str, Any] | None, settings.get("rollout"))))
