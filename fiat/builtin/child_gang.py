"""Which of several workers this process is, and how they find each other."""

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Gang:
    """One of the processes that share the work of a step.

    Attributes:
        rank: its number, from 0; the first one's model is the result.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1


def gang_of(env: Mapping[str, str] = os.environ) -> Gang:
    """This process among the workers of its step, by the variables that torch's launchers use.

    Source: PyTorch documentation, torch.distributed.elastic, environment variables.
    """
    return Gang(int(env.get("RANK", "0")), int(env.get("WORLD_SIZE", "1")))
