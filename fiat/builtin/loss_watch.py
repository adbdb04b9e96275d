"""Which metrics are losses, and when one of them is no number any more."""

import math
import re

_PARTS = re.compile(r"[/.]")


def is_loss(name: str) -> bool:
    """Whether a metric is a loss by its name: `loss`, `eval_loss`, `loss_mask`, `train/loss`."""
    parts = _PARTS.split(name)
    return any(part == "loss" or part.startswith("loss_") or part.endswith("_loss") for part in parts)


def loss_fault(name: str, value: float, step: int | None) -> str:
    """What is wrong with a metric, one sentence: it is a loss, and infinite or no number; empty when it is well."""
    if math.isfinite(value) or not is_loss(name):
        return ""
    place = "" if step is None else f" at step {step}"
    return (
        f"{name} became {value!r}{place}: training was stopped"
        " (a lower learning rate may help; `train.stop_on_nan: false` lets it go on)"
    )
