"""A forge in memory: keeps what it is told, fails as it is told, and passes the suite that real ones pass."""

import itertools
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from fiat.errors import FiatError
from fiat.ports.forge import Finding, Pull
from fiat.run.report import Check, Deployed, PullComment, Report

LONGEST_COMMENT = 65_536


@dataclass
class FakeComment:
    """A comment on a pull request.

    Attributes:
        id: unique.
        pull: number of the pull request.
        body: its text.
        ours: the forge plugin wrote it.
    """

    id: int
    pull: int
    body: str
    ours: bool = True


class FakeForge:
    """One repository on a forge that is nowhere.

    Attributes:
        sent: every report that arrived, in order; one whose reply was lost is there too.
        comments: that stand now.
        open_pulls: what `pulls` tells.
        writers: numeric id of who may write, by name.
        findings: what `check` tells.
        remaining: as in the port.
        limit: as in the port.
        git_token: as in the port.
        renamed_to: the id that `repo_id` tells.
    """

    name = "fake"

    def __init__(
        self,
        *,
        pulls: Iterable[Pull] = (),
        writers: dict[str, str] | None = None,
        remaining: int | None = None,
    ) -> None:
        self.sent: list[Report] = []
        self.comments: list[FakeComment] = []
        self.open_pulls = tuple(pulls)
        self.writers = dict(writers or {})
        self.findings: tuple[Finding, ...] = (Finding("token", "good", "the fake takes any"),)
        self.remaining = remaining
        self.limit: int | None = None
        self.git_token = ""
        self.renamed_to = "4711"
        self._faults: deque[tuple[FiatError, bool]] = deque()
        self._ids = itertools.count(1)

    def fail(self, error: FiatError, *, times: int = 1, done: bool = False) -> None:
        """Let the next calls raise.

        Args:
            error: what; Waiting or Stalled.
            times: how many calls.
            done: the report arrives all the same: the reply is lost.
        """
        self._faults.extend([(error, done)] * times)

    def states(self, commit: str, context: str) -> list[str]:
        """Every state of a commit in a context, oldest first."""
        checks = [report for report in self.sent if isinstance(report, Check)]
        return [check.state for check in checks if (check.commit, check.context) == (commit, context)]

    def last(self, commit: str, context: str) -> str:
        """The last of them, empty when there is none."""
        return (self.states(commit, context) or [""])[-1]

    def deployed(self, key: str) -> list[str]:
        """Every state of a deployment, oldest first."""
        return [report.state for report in self.sent if isinstance(report, Deployed) and report.key == key]

    def send(self, report: Report, memory: str) -> str:
        """Keep a report; see the port."""
        error, done = self._faults.popleft() if self._faults else (None, True)
        if done:
            self.sent.append(report)
            memory = self._comment(report, memory) if isinstance(report, PullComment) else memory
        if error is not None:
            raise error
        return memory

    @property
    def repo_id(self) -> str:
        """Which repository has the name now; see the port."""
        self._meet()
        return self.renamed_to

    def pulls(self) -> tuple[Pull, ...]:
        """The open pull requests; see the port."""
        self._meet()
        return self.open_pulls

    def may_write(self, person_id: str, person_name: str) -> bool:
        """Whether the name has that id and may write; see the port."""
        self._meet()
        return person_id != "" and self.writers.get(person_name) == person_id

    def check(self) -> tuple[Finding, ...]:
        """What was set; see the port."""
        return self.findings

    def _meet(self) -> None:
        if self._faults:
            raise self._faults.popleft()[0]

    def _comment(self, report: PullComment, memory: str) -> str:
        text = f"{report.marker}\n{report.body}"[:LONGEST_COMMENT]
        mine = [item for item in self.comments if item.ours and item.pull == report.pull]
        found = [item for item in mine if str(item.id) == memory or item.body.startswith(report.marker)]
        if found:
            found[0].body = text
            return str(found[0].id)
        self.comments.append(FakeComment(next(self._ids), report.pull, text))
        return str(self.comments[-1].id)
