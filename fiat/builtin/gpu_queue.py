"""Who gets which GPUs, and when: higher priorities first, then who waits longest; all of a wish or nothing. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fiat.ports.compute import Resources

PATIENCE_S = 30.0
_TINY = 1e-9


@dataclass(frozen=True)
class Wish:
    """GPUs that somebody waits for.

    Attributes:
        id: unique.
        share: of each GPU, above 0; 1 is the whole of it.
        count: different GPUs, 1 or more.
        among: keys of the GPUs that will do.
        priority: higher ones come first.
        since: when it came, in seconds of a clock that all who wait share.
    """

    id: str
    share: float
    count: int
    among: tuple[str, ...]
    priority: int = 0
    since: float = 0.0


@dataclass(frozen=True)
class Hold:
    """GPUs that somebody has.

    Attributes:
        keys: of the GPUs.
        share: of each.
    """

    keys: tuple[str, ...]
    share: float


def shape(need: Resources) -> tuple[float, int]:
    """(share of each, number of different GPUs) that a job with all its workers asks for; (0, 0) for none.

    Workers never share a GPU: NCCL refuses two of its ranks on one.
    """
    if need.gpus <= 0:
        return 0.0, 0
    if need.gpus < 1:
        return need.gpus, need.workers
    return 1.0, round(need.gpus) * need.workers


def in_order(wishes: Iterable[Wish]) -> list[Wish]:
    """Who comes before whom."""
    return sorted(wishes, key=lambda wish: (-wish.priority, wish.since, wish.id))


def give(holds: Iterable[Hold], wishes: Iterable[Wish], now: float) -> dict[str, tuple[str, ...]]:
    """What can be given at this moment.

    Fractions go to the fullest GPU that still has them, so that whole ones stay whole. A wish that can't be met keeps
    the GPUs that it could use already, so those behind it take only what it can't use; and once it has waited
    `PATIENCE_S`, whole GPUs are kept for it until they are as free as it needs: then small jobs that follow each other
    on one GPU can't keep it waiting for ever.

    Args:
        holds: what is taken.
        wishes: what is waited for.
        now: on the clock of `Wish.since`.

    Returns:
        Id of a wish to the keys of its GPUs.
    """
    wishes = in_order(wishes)
    free = _free(holds, wishes)
    kept: set[str] = set()
    given: dict[str, tuple[str, ...]] = {}
    for wish in wishes:
        open_keys = [key for key in wish.among if key not in kept and free[key] >= wish.share - _TINY]
        if len(open_keys) >= wish.count:
            keys = sorted(open_keys, key=lambda key: free[key])[
                : wish.count
            ]  # stable: equal ones as in `among`
            given[wish.id] = tuple(sorted(keys, key=wish.among.index))
            for key in keys:
                free[key] -= wish.share
        elif now - wish.since >= PATIENCE_S:
            kept.update(_nearest(wish, free, kept))
        elif wish.share >= 1:
            kept.update(open_keys)
        else:
            for key in open_keys:
                free[key] -= wish.share
    return given


def _free(holds: Iterable[Hold], wishes: Sequence[Wish]) -> dict[str, float]:
    free = {key: 1.0 for wish in wishes for key in wish.among}
    for hold in holds:
        for key in hold.keys:
            free[key] = free.get(key, 1.0) - hold.share
    return free


def _nearest(wish: Wish, free: Mapping[str, float], kept: set[str]) -> list[str]:
    """The GPUs that will soonest be as free as it needs: by what is free, which only grows once they are kept."""
    return sorted(wish.among, key=lambda key: (key in kept, -free[key]))[: wish.count]
