"""One watched repository: git over HTTP, a pretended forge, and a person's clone."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from forge_stage import ForgeStage
from git_server import GitServer

from tests.e2e.hook_words import ZEROS, Person, Place
from tests.e2e.runner_process import Answer, RunnerProcess

MONA: Person = (7, "mona")
MALLORY: Person = (4712, "mallory")
FINAL = ("success", "failure", "error")


@dataclass
class RepoStage:
    """A repository and its world.

    Attributes:
        runner: that watches it.
        name: `owner/name`.
        git: serves it.
        forge: pretends its forge.
        clone: a person's work tree of it.
        entry: what the runner's settings say about it, changed before the runner starts.
        password: that the person's git shows.
    """

    runner: RunnerProcess
    name: str
    git: GitServer
    forge: ForgeStage
    clone: Path
    entry: dict[str, Any] = field(default_factory=dict)
    password: str = ""

    @cached_property
    def place(self) -> Place:
        """The repository as the forge tells it."""
        world = self.forge.world
        return Place(self.forge.flavour, world.repo_id, world.repo_name, world.fork_id)

    # A person's git.

    @property
    def address(self) -> str:
        """Where the person's git pushes to."""
        return self.git.url(self.name, token=self.password)

    def run_git(self, *words: str, cwd: Path | None = None) -> str:
        """Git as a person uses it."""
        identity = ("-c", "user.name=Mona", "-c", "user.email=mona@example.org")
        done = subprocess.run(
            ["git", *identity, "-c", "protocol.file.allow=always", "-C", str(cwd or self.clone), *words],
            capture_output=True,
            text=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.runner.folder),
                "GIT_CONFIG_NOSYSTEM": "1",
            },
            check=False,
        )
        assert done.returncode == 0, f"git {words}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | None], message: str = "a change") -> str:
        """Write files (None removes one) and commit them on the branch that is checked out; gives the commit."""
        for name, text in files.items():
            path = self.clone / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.run_git("add", "-A")
        self.run_git("commit", "-q", "--allow-empty", "-m", message)
        return self.run_git("rev-parse", "HEAD")

    def push(self, branch: str = "main", *, tell: bool = True) -> str:
        """Push what is checked out to a branch, and tell the runner by a webhook; gives the commit."""
        before = self.remote_head(branch)
        self.run_git("push", "-q", "--force", self.address, f"HEAD:refs/heads/{branch}")
        commit = self.run_git("rev-parse", "HEAD")
        if tell:
            answer = self.tell_push(branch, commit, before)
            assert answer.status in (200, 202), answer
        return commit

    def pushed(self, files: Mapping[str, str | None], message: str = "a change") -> str:
        """Commit on main, push and tell; gives the commit."""
        self.commit(files, message)
        return self.push("main")

    def begin(self, files: Mapping[str, str | None]) -> str:
        """A first commit on main, whose runs end well; gives the commit."""
        commit = self.pushed(files, "begin")
        said = self.said(commit, "fiat/push")
        assert said.startswith("success"), f"{said}\n{self.runner.log}"
        return commit

    def propose(
        self,
        number: int,
        files: Mapping[str, str | None],
        message: str = "a change",
        *,
        fork: bool = False,
        author: tuple[str, str] | None = None,
    ) -> str:
        """Commit on a branch of its own and open a pull request to main, told by a webhook; gives the commit."""
        self.run_git("checkout", "-q", "-B", f"patch-{number}")
        self.commit(files, message)
        if author is not None:
            self.run_git(
                "commit", "--amend", "-q", "--allow-empty", "--no-edit", f"--author={author[0]} <{author[1]}>"
            )
        commit = self.run_git("rev-parse", "HEAD")
        self.run_git("checkout", "-q", "main")
        answer = self.tell_pull(number, commit, fork=fork)
        assert answer.status in (200, 202), answer
        return commit

    def remote_head(self, branch: str) -> str:
        """Commit of a branch at the server, forty zeros for none."""
        said = self.run_git("ls-remote", self.address, f"refs/heads/{branch}")
        return said.split()[0] if said else ZEROS

    # Webhooks, signed and worded as the forge does it.

    def tell_push(self, branch: str, commit: str, before: str = ZEROS) -> Answer:
        """The webhook of a push to a branch, or to a ref that is written in full."""
        ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        return self.tell(*self.place.push(ref, commit, before, MONA))

    def tell_pull(
        self,
        number: int,
        commit: str,
        *,
        action: str = "opened",
        fork: bool = False,
        title: str = "a pull request",
    ) -> Answer:
        """The webhook of a pull request to main; the forge knows it too."""
        person = MALLORY if fork else MONA
        pull = self.place.pull(number, commit, self.remote_head("main"), person, fork=fork, title=title)
        key = "iid" if self.place.gitlab else "number"
        self.forge.world.pulls = [one for one in self.forge.world.pulls if one[key] != number]
        if action != "closed":
            self.forge.world.pulls.append(pull)
        self.run_git("push", "-q", "--force", self.address, f"{commit}:{self.place.pull_ref(number)}")
        return self.tell(*self.place.pulled(action, pull, person))

    def tell_comment(self, number: int, text: str, *, sender: Person = MONA) -> Answer:
        """The webhook of a comment on a pull request."""
        return self.tell(*self.place.comment(number, text, sender))

    def tell(self, event: str, body: Mapping[str, Any], *, delivery: str = "") -> Answer:
        """Any webhook."""
        data = json.dumps(body).encode()
        headers = self.place.headers(event, data, delivery or str(uuid.uuid4()))
        return self.runner.ask("POST", f"/webhook/{self.place.flavour}", data, headers)

    @property
    def repository(self) -> dict[str, Any]:
        """The repository within a webhook."""
        return self.place.document

    # What came of it.

    def runs_of(self, commit: str, purpose: str = "") -> list[dict[str, Any]]:
        """Runs of a commit, the newest first."""
        return [
            run
            for run in self.runner.runs(f"repo={self.name}&limit=200")
            if run["commit"] == commit and purpose in ("", run["purpose"])
        ]

    def runs_end(self, commit: str, count: int) -> list[str]:
        """Wait until a commit has so many runs and all are over; gives their specs, the newest first."""
        self.runner.wait(lambda: len(self.runs_of(commit)) == count, f"{count} runs")
        self.runner.wait(lambda: all(run["state"] == "done" for run in self.runs_of(commit)), "their end")
        return [run["spec"] for run in self.runs_of(commit)]

    def steps(self, commit: str, purpose: str = "") -> dict[str, str]:
        """State of each step of the newest run of a commit."""
        runs = self.runs_of(commit, purpose)
        assert runs, f"no run of {commit}"
        found = self.runner.get(f"/api/v1/runs/{runs[0]['id']}/steps").body
        return {step["name"]: step["state"] for step in found["items"]}

    def description(self, commit: str, context: str) -> str:
        """The newest text of a context."""
        found = [seen for seen in self.forge.world.seen if (seen.commit, seen.context) == (commit, context)]
        return found[-1].description if found else ""

    def said(self, commit: str, context: str) -> str:
        """Wait until a context is final; gives its state and text."""
        last = self.forge.world.last
        self.runner.wait(lambda: last(commit, context) in FINAL, f"{context} of {commit[:8]} to be over", 60)
        return f"{last(commit, context)}: {self.description(commit, context)}"

    def all_told(self) -> None:
        """Wait until every change is over and the forge was told everything."""

        def over() -> bool:
            changes = self.runner.get(f"/api/v1/changes?repo={self.name}").body["items"]
            return all(change["state"] == "done" for change in changes)

        self.runner.wait(over, f"everything of {self.name} to be over")
        self.all_sent()

    def all_sent(self) -> None:
        """Wait until the forge was told everything that is to be told now."""
        letters = f"/api/v1/letters?repo={self.name}"
        self.runner.wait(
            lambda: not self.runner.get(letters).body["items"], f"{self.name}'s forge to be told"
        )

    def wait_text(self, commit: str, context: str, start: str) -> None:
        """Wait until the newest state and text of a context start so: `success: no change`."""

        def stands() -> bool:
            said = f"{self.forge.world.last(commit, context)}: {self.description(commit, context)}"
            return said.startswith(start)

        self.runner.wait(stands, f"{context} of {commit[:8]} to say {start!r}")

    def wait_state(self, commit: str, context: str, state: str, timeout_s: float = 90.0) -> None:
        """Wait until a context of a commit stands so; another final state fails at once."""

        def stands() -> bool:
            last = self.forge.world.last(commit, context)
            assert last not in FINAL or last == state, (
                f"{context} is {last}: {self.description(commit, context)}\n{self.runner.log}"
            )
            return last == state

        self.runner.wait(stands, f"{context} of {commit[:8]} to be {state}", timeout_s)
