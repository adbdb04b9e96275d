"""What `fiat trigger` does: ask a runner for runs, and follow them to their verdict."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fiat.errors import EXIT_DONE, EXIT_REFUSED, EXIT_SPEC, SpecError
from fiat.ports.report import Reporter
from fiat.run.model import Run, Verdict
from fiat.wiring.client_follow import Following
from fiat.wiring.client_link import Link, new_key
from fiat.wiring.client_values import run_of, verdict_of

POLL_S = 1.0
_WORST_LAST: tuple[Verdict, ...] = ("pass", "warn", "fail", "error")


@dataclass(frozen=True)
class Wish:
    """What is asked of a runner.

    Attributes:
        repo: its name in the runner's settings.
        ref: branch, tag or full commit.
        specs: names or paths; empty for those that the commit touches.
        overrides: as typed.
    """

    repo: str
    ref: str
    specs: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """How it ended.

    Attributes:
        change: id of what was asked for; empty when only a run was followed.
        runs: every run, in the order of their specs' names.
        verdict: the worst of them; None when nothing was judged.
        reason: one sentence when there are no runs.
        url: page of the one run, or of the change.
        urls: page of each run.
        faulty: what was asked for has to be edited: a spec, an override, a name; nothing of it began.
    """

    change: str
    runs: tuple[Run, ...]
    verdict: Verdict | None
    reason: str
    url: str
    urls: tuple[str, ...] = ()
    faulty: bool = False

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        if self.verdict in ("pass", "warn"):
            return EXIT_DONE
        return EXIT_SPEC if self.faulty else EXIT_REFUSED


@dataclass
class Client:
    """A client of one runner.

    Attributes:
        link: to the runner.
        reporter: gives who hears the next run.
        say: hears what happens beside runs.
        sleep: waits so many seconds.
    """

    link: Link
    reporter: Callable[[], Reporter]
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep

    def submit(self, wish: Wish) -> str:
        """Ask for runs, once, however often the network makes us ask; the id of the change.

        Raises:
            SpecError: the runner does not know the repository, the commit or the specs.
            EnvironmentFault: it refuses the token, or was away for too long.
        """
        body = {
            "repo": wish.repo,
            "ref": wish.ref,
            "specs": list(wish.specs),
            "overrides": list(wish.overrides),
        }
        return _text(self.link.post("/trigger", body, key=new_key()), "id")

    def follow(self, name: str) -> Outcome:
        """Follow a run or a change to its end.

        Args:
            name: id of either.

        Raises:
            SpecError: the runner knows neither.
            EnvironmentFault: as `submit`.
        """
        try:
            document = self.link.get(f"/runs/{name}")
        except SpecError:
            return self.follow_change(name)
        run = self._followed(document)
        url = _text(document, "url")
        return Outcome("", (run,), run.verdict, run.reason, url, (url,), _is_faulty(document))

    def follow_change(self, change: str) -> Outcome:
        """Wait until a change is split into runs, and follow each."""
        document = self._split(change)
        given = _documents(document)
        runs = tuple(self._followed(item) for item in given)
        verdicts = [run.verdict for run in runs] if runs else [verdict_of(document)]
        worst = max(verdicts, key=lambda verdict: _WORST_LAST.index(verdict or "error"))
        reason = _text(document, "reason")
        if not runs:
            self.say(f"nothing ran: {reason or 'the commit touches no spec'}")
        url = _text(given[0] if len(given) == 1 else document, "url")
        urls = tuple(_text(item, "url") for item in given)
        # A change without runs fails when its specs can't be found or told apart.
        faulty = any(map(_is_faulty, given)) if given else worst == "fail"
        return Outcome(change, runs, worst, reason, url, urls, faulty)

    def _split(self, change: str) -> Mapping[str, object]:
        said = False
        while True:
            document = self.link.get(f"/changes/{change}")
            if document.get("state") != "new":
                return document
            if not said:
                self.say(f"change {change} waits to be looked at")
                said = True
            self.sleep(POLL_S)

    def _followed(self, document: Mapping[str, object]) -> Run:
        run = run_of(document)
        self.say(f"run {run.id} of {run.spec}: {_text(document, 'url')}")
        return Following(self.link, run.id, self.reporter(), self.say).to_end()


def _documents(change: Mapping[str, object]) -> Sequence[Mapping[str, object]]:
    runs = change.get("runs")
    return [item for item in runs if isinstance(item, dict)] if isinstance(runs, list) else []


def _is_faulty(run: Mapping[str, object]) -> bool:
    """Whether a run was refused before any worker began it: its spec, as the overrides make it, is wrong."""
    return run.get("verdict") == "fail" and run.get("attempt") == 0


def _text(document: Mapping[str, object], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""
