"""Deliver the outbox: at least once, in order a channel, at the pace that each forge bears."""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from fiat.engine.lanes import Lanes
from fiat.errors import FiatError, Stalled, Waiting
from fiat.ports.forge import Forge
from fiat.run.report import OutboxItem
from fiat.store.store import Store

BATCH = 50
BURST = 20
PACE_S = 1.0
LONGEST_REST_S = 120.0
LONGEST_WAIT_S = 900.0
# A refusal that waiting does not mend (a credential, a permission) may be mended by a person: it is tried a few
# times more, further and further apart, before it is put aside for people to see.
_REFUSED_AGAIN_S = (60.0, 600.0, 3600.0, 21600.0)
_REFUSED_REST_S = 60.0
# So many refusals in a row are no matter of one repository.
_REFUSED_IN_A_ROW = 3
# Tries of a report that does not go out although others do (its commit never came): after a day it is put aside; when
# no others are there to tell, after a week.
_DAY_OF_TRIES, _WEEK_OF_TRIES = 100, 700
_REASON_CHARS = 500
_SIDE_BY_SIDE = 8


@dataclass
class _Line:
    """How one credential of a forge is spoken with: a bucket of writes and a rest after it failed.

    Source: GitHub's guidance on REST limits: at least a second between writes; `retry-after` is obeyed.
    """

    tokens: float = float(BURST)
    filled_at_s: float = 0.0
    rests_until_s: float = 0.0
    failures: int = 0
    refusals: int = 0
    worked: bool = False

    def ready_in_s(self, now_s: float) -> float:
        """Seconds until the next write may go out, 0 for now."""
        self.tokens = min(float(BURST), self.tokens + max(0.0, now_s - self.filled_at_s) / PACE_S)
        self.filled_at_s = now_s
        wait_s = 0.0 if self.tokens >= 1 else (1 - self.tokens) * PACE_S
        return max(wait_s, self.rests_until_s - now_s, 0.0)


@dataclass
class Sender:
    """Sends what is due; one of a store's runners does it at a time.

    Attributes:
        store: with the outbox.
        forges: by repository name; a repository without one gets no reports.
        mask: hides secrets in what forges say.
        clock: monotonic seconds.
        jitter: a random number from 0 to 1.
        lines: names what repositories share, an API and a credential, whose limits count for all of them together; a
            repository without an entry shares nothing.
        log: hears of bugs.
        patience_s: longest time that a round waits for its forges; who hangs goes on behind it.
    """

    store: Store
    forges: Mapping[str, Forge]
    mask: Callable[[str], str]
    clock: Callable[[], float]
    jitter: Callable[[], float]
    lines: Mapping[str, str] = field(default_factory=dict)
    log: Callable[[str], None] = lambda _: None
    patience_s: float = 3600.0
    _lines: dict[str, _Line] = field(default_factory=dict)
    _rests: dict[str, float] = field(default_factory=dict)
    _refusals: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nobody is spoken with yet."""
        self.lanes = Lanes("sender", _SIDE_BY_SIDE)

    def tick(self, still_ours: Callable[[], bool] = lambda: True) -> float:
        """Send what may go out now.

        Args:
            still_ours: asked before each call; False ends the round (another process has the seat now).

        Returns:
            Seconds until there may be more to do, 0 when there is more right now.
        """
        busy = self.lanes.busy()
        waits = {repo: self._ready_in_s(repo) for repo in self.forges if self._name(repo) not in busy}
        resting = {repo: wait_s for repo, wait_s in waits.items() if wait_s > 0}
        due = self.store.outbox.due(
            BATCH, skip=(*resting, *(repo for repo in self.forges if repo not in waits))
        )
        by_line: dict[str, list[OutboxItem]] = {}
        for item in due:
            by_line.setdefault(self._name(item.repo), []).append(item)
        begun = [
            name
            for name, items in by_line.items()
            if self.lanes.offer(name, partial(self._send_all, items, still_ours))
        ]
        self.lanes.wait(begun, self.patience_s)
        if len(due) == BATCH and begun:
            return 0.0
        return min([*resting.values(), PACE_S])

    def _send_all(self, items: Sequence[OutboxItem], still_ours: Callable[[], bool]) -> None:
        for item in items:
            if not still_ours():
                return
            if self._ready_in_s(item.repo) <= 0:
                self._send(item)

    def _name(self, repo: str) -> str:
        """Of the line that a repository's forge is spoken with over."""
        return self.lines.get(repo, repo)

    def _line(self, repo: str) -> _Line:
        return self._lines.setdefault(self._name(repo), _Line(filled_at_s=self.clock()))

    def _ready_in_s(self, repo: str) -> float:
        now_s = self.clock()
        return max(self._line(repo).ready_in_s(now_s), self._rests.get(repo, 0.0) - now_s)

    def _send(self, item: OutboxItem) -> None:
        forge, line = self.forges.get(item.repo), self._line(item.repo)
        if forge is None:
            self.store.outbox.dead(item.id, "the runner has no credential for this repository")
            return
        line.tokens -= 1
        try:
            memory = forge.send(item.report, item.memory)
        except Waiting as wait:
            self._wait(item, line, wait)
        except Stalled as refusal:
            self._refused(item, line, self._said(str(refusal)))
        except FiatError as error:
            self._wait(item, line, Waiting(str(error)))
        except Exception as error:
            # One report that brings a bug out must not keep all others from going out.
            self.log(
                f"report {item.id} to {item.repo}: a bug of Fiat; please report it\n{traceback.format_exc()}"
            )
            self._refused(item, line, self._said(f"a bug of Fiat: {type(error).__name__}: {error}"))
        else:
            line.failures, line.refusals, line.worked = 0, 0, True
            self._refusals.pop(item.repo, None)
            self.store.outbox.sent(item.id, memory)

    def _wait(self, item: OutboxItem, line: _Line, wait: Waiting) -> None:
        if wait.retry_after_s is None and item.attempt >= (_DAY_OF_TRIES if line.worked else _WEEK_OF_TRIES):
            self.store.outbox.dead(item.id, self._said(str(wait)))
            return
        line.failures += 1
        # Whether it is this report alone is told by those that go out after it.
        line.worked = False
        if wait.retry_after_s is not None:
            pause_s = wait.retry_after_s
            line.rests_until_s = max(line.rests_until_s, self.clock() + pause_s)
        else:
            pause_s = min(LONGEST_WAIT_S, 2.0 ** min(item.attempt, 10)) * (0.5 + self.jitter())
            if line.failures > 1:
                rest_s = min(LONGEST_REST_S, 2.0 ** min(line.failures - 2, 8)) * (0.5 + self.jitter())
                line.rests_until_s = max(line.rests_until_s, self.clock() + rest_s)
        self.store.outbox.later(item.id, pause_s, self._said(str(wait)))

    def _refused(self, item: OutboxItem, line: _Line, reason: str) -> None:
        """The repository rests, longer each time in a row; when nothing of its credential goes out, all of them do.

        One commit that the forge does not want must not keep the reports of all others for long.
        """
        self._refusals[item.repo] = self._refusals.get(item.repo, 0) + 1
        self._rests[item.repo] = self.clock() + _rest_s(self._refusals[item.repo])
        line.refusals += 1
        if line.refusals >= _REFUSED_IN_A_ROW:
            line.rests_until_s = max(line.rests_until_s, self.clock() + _rest_s(line.refusals))
        if item.attempt < len(_REFUSED_AGAIN_S):
            self.store.outbox.later(item.id, _REFUSED_AGAIN_S[item.attempt], reason)
        else:
            self.store.outbox.dead(item.id, reason)

    def _said(self, text: str) -> str:
        return self.mask(text)[:_REASON_CHARS]


def _rest_s(refusals: int) -> float:
    """How long to rest after so many refusals in a row."""
    return float(min(_REFUSED_REST_S, 2.0 ** min(refusals - 1, 10)))
