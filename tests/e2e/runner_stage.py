"""A whole runner for tests: the real program, git over HTTP, a forge over HTTP, and a person's clone.

with runner_stage(tmp_path) as stage:
    commit = stage.commit({"spec.yaml": SPEC}, "a model")
    stage.push("main")
    stage.wait_state(commit, "fiat/push", "success")
"""

import contextlib
import hashlib
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "builtin"))
sys.path.insert(0, str(HERE.parent / "git"))
from forge_stage import ForgeStage, forge_stage
from git_server import GitServer, serving

PROGRAM = Path(sys.executable).with_name("fiat")
HOOK_SECRET = "a-webhook-secret-for-tests"
API_TOKEN = "an-api-token-for-tests"
FORKER = 4712

SPEC = """\
fiat: 1
name: leaves
params: {trees: 20}
data:
  leaves: {source: {path: leaves.csv}, label: species, split: {train: 8, test: 2, key: id}}
train: {call: "train:train", with: {trees: "${params.trees}", spoil: false}}
evaluate: {metrics: [accuracy]}
baseline: {from: main, if_missing: pass}
gates:
  - {metric: accuracy, min: 0.8}
  - {metric: accuracy, against: baseline, max_drop: 0.05}
deploy:
  shelf: {to: directory, path: models}
"""
TRAIN = """\
from sklearn.ensemble import RandomForestClassifier


def train(data, run, trees, spoil):
    labels = data.train.labels
    if spoil:
        labels = labels[::-1]
    return RandomForestClassifier(trees, random_state=run.seed).fit(data.train.features, labels)
"""


def leaves(rows: int = 300) -> str:
    """Made-up rows of three species that a small forest tells apart."""
    lines = ["id,length,width,species"]
    for index in range(rows):
        kind = index % 3
        lines.append(
            f"{index},{kind * 2 + (index % 7) / 10:.2f},{3 - kind + (index % 5) / 10:.2f},{'abc'[kind]}"
        )
    return "\n".join(lines) + "\n"


FILES = {"spec.yaml": SPEC, "train.py": TRAIN, "leaves.csv": leaves()}


@dataclass
class Answer:
    """What the runner's API said."""

    status: int
    body: Any


@dataclass
class RunnerStage:
    """The runner and its world.

    Attributes:
        folder: of the test.
        git: serves `acme/models` and, for forks, `mallory/models`.
        forge: pretends GitHub, Gitea or GitLab.
        clone: a person's work tree of `acme/models`.
        settings: what `runners/*.yaml` says, changed before `start`.
        environment: of the runner's process.
    """

    folder: Path
    git: GitServer
    forge: ForgeStage
    clone: Path
    settings: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    port: int = 0

    # The runner's process.

    @property
    def store(self) -> Path:
        """Folder of the runner's store."""
        return self.folder / "state"

    @property
    def shelf(self) -> Path:
        """Folder that deploys go below."""
        return self.folder / "shelf"

    @property
    def log(self) -> str:
        """What the runner said so far."""
        path = self.folder / "runner.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def start(self, *, ready_s: float = 60.0, config: str = "runner.yaml") -> None:
        """Start `fiat runner` and wait until it answers."""
        path = self.folder / config
        path.write_text(json.dumps(self.settings))
        with (self.folder / "runner.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "runner", "--config", str(path)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.wait(self._answers, "the runner to answer", ready_s)

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
            self.process = None

    def kill(self) -> None:
        """SIGKILL to the main process alone: its workers notice by their lifelines."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def _answers(self) -> bool:
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(f"the runner ended with {self.process.returncode}:\n{self.log}")
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    # A person's git.

    def run_git(self, *words: str, cwd: Path | None = None) -> str:
        """Git as a person uses it."""
        identity = (
            "-c",
            "user.name=Mona",
            "-c",
            "user.email=mona@example.org",
            "-c",
            "protocol.file.allow=always",
        )
        done = subprocess.run(
            ["git", *identity, "-C", str(cwd or self.clone), *words],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "GIT_CONFIG_NOSYSTEM": "1"},
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
        """Push a branch, and tell the runner by a webhook; gives the commit."""
        before = self.remote_head(branch)
        self.run_git("push", "-q", "--force", self.git.url("acme/models"), f"HEAD:refs/heads/{branch}")
        commit = self.run_git("rev-parse", "HEAD")
        if tell:
            answer = self.tell_push(branch, commit, before)
            assert answer.status in (200, 202), answer
        return commit

    def remote_head(self, branch: str) -> str:
        """Commit of a branch at the server, forty zeros for none."""
        said = self.run_git("ls-remote", self.git.url("acme/models"), f"refs/heads/{branch}")
        return said.split()[0] if said else "0" * 40

    # Webhooks, signed as GitHub signs them.

    def tell_push(self, branch: str, commit: str, before: str = "0" * 40) -> Answer:
        """The webhook of a push."""
        body = {
            "ref": f"refs/heads/{branch}",
            "before": before,
            "after": commit,
            "created": before == "0" * 40,
            "deleted": commit == "0" * 40,
            "forced": False,
            "repository": self.repository,
            "sender": {"id": 7, "login": "mona"},
            "pusher": {"name": "mona"},
            "commits": [],
        }
        return self.tell("push", body)

    def tell_pull(self, number: int, commit: str, *, action: str = "opened", fork: bool = False) -> Answer:
        """The webhook of a pull request to main; the forge knows it too."""
        pull = self.pull_document(number, commit, fork=fork)
        self.forge.world.pulls = [one for one in self.forge.world.pulls if one["number"] != number]
        if action != "closed":
            self.forge.world.pulls.append(pull)
        ref = f"refs/pull/{number}/head"
        self.run_git("push", "-q", "--force", self.git.url("acme/models"), f"{commit}:{ref}")
        body = {
            "action": action,
            "number": number,
            "pull_request": pull,
            "repository": self.repository,
            "sender": {"id": FORKER if fork else 7, "login": "mallory" if fork else "mona"},
        }
        return self.tell("pull_request", body)

    def pull_document(self, number: int, commit: str, *, fork: bool) -> dict[str, Any]:
        """A pull request as GitHub tells it."""
        head = {"id": FORKER, "full_name": "mallory/models", "fork": True} if fork else self.repository
        return {
            "id": number + 10_000,
            "number": number,
            "state": "open",
            "title": "a pull request",
            "user": {"id": FORKER if fork else 7, "login": "mallory" if fork else "mona"},
            "head": {"ref": f"patch-{number}", "sha": commit, "repo": head},
            "base": {"ref": "main", "sha": self.remote_head("main"), "repo": self.repository},
        }

    def tell_comment(self, number: int, text: str, *, sender: tuple[int, str] = (7, "mona")) -> Answer:
        """The webhook of a comment on a pull request."""
        body = {
            "action": "created",
            "issue": {"number": number, "pull_request": {"url": "x"}},
            "comment": {
                "id": uuid.uuid4().int % 10**9,
                "body": text,
                "user": {"id": sender[0], "login": sender[1]},
            },
            "repository": self.repository,
            "sender": {"id": sender[0], "login": sender[1]},
        }
        return self.tell("issue_comment", body)

    def tell(self, event: str, body: Mapping[str, Any], *, delivery: str = "") -> Answer:
        """Any webhook."""
        data = json.dumps(body).encode()
        signature = hmac.new(HOOK_SECRET.encode(), data, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
            "X-Hub-Signature-256": f"sha256={signature}",
            "User-Agent": "GitHub-Hookshot/abc",
        }
        return self._ask("POST", "/webhook/github", data, headers)

    @property
    def repository(self) -> dict[str, Any]:
        """The repository as GitHub tells it."""
        world = self.forge.world
        return {
            "id": world.repo_id,
            "full_name": world.repo_name,
            "name": "models",
            "owner": {"id": 1, "login": "acme"},
            "default_branch": "main",
            "fork": False,
        }

    # The runner's API.

    def get(self, path: str) -> Answer:
        """A reading call."""
        return self._ask("GET", path, None, {"Authorization": f"Bearer {API_TOKEN}"})

    def post(self, path: str, body: Mapping[str, Any]) -> Answer:
        """A call that asks for something."""
        headers = {"Authorization": f"Bearer {API_TOKEN}", "Content-Type": "application/json"}
        return self._ask("POST", path, json.dumps(body).encode(), headers)

    def runs(self) -> list[dict[str, Any]]:
        """All runs of the queue, the newest first."""
        found: list[dict[str, Any]] = self.get("/api/v1/runs?limit=100").body["items"]
        return found

    def _ask(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answer:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers=dict(headers), method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response.status, _parsed(response.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _parsed(error.read()))

    # Waiting.

    def wait_state(self, commit: str, context: str, state: str, timeout_s: float = 90.0) -> None:
        """Wait until a context of a commit stands so; another final state fails at once."""

        def stands() -> bool:
            last = self.forge.world.last(commit, context)
            final = last in ("success", "failure", "error")
            assert not final or last == state, (
                f"{context} is {last}: {self.description(commit, context)}\n{self.log}"
            )
            return last == state

        self.wait(stands, f"{context} of {commit[:8]} to be {state}", timeout_s)

    def description(self, commit: str, context: str) -> str:
        """The newest text of a context."""
        found = [seen for seen in self.forge.world.seen if (seen.commit, seen.context) == (commit, context)]
        return found[-1].description if found else ""

    def wait(self, happened: Callable[[], bool], what: str, timeout_s: float = 30.0) -> None:
        """Look again until something has happened."""
        give_up = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > give_up:
                raise AssertionError(
                    f"waited {timeout_s:.0f} s for {what}\n{self.log}\n{self.forge.world.seen[-20:]}"
                )
            time.sleep(0.05)


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


@contextlib.contextmanager
def runner_stage(
    folder: Path, *, compute: str = "local", workers: int = 1, flavour: str = "github", port: int = 0
) -> Iterator[RunnerStage]:
    """A world with a runner that is not started yet."""
    with serving(folder / "served") as git, forge_stage(flavour) as forge:
        git.create("acme/models")
        clone = folder / "clone"
        clone.mkdir()
        stage = RunnerStage(
            folder,
            git,
            forge,
            clone,
            settings={
                "fiat_runner": 1,
                "listen": {"port": port or _free_port()},
                "store": "state",
                "compute": compute,
                "workers": workers,
                "reconcile_every": "60s",
                "lease": "6s",
                "tokens": [{"name": "test", "secret": {"env": "API_TOKEN"}, "scopes": ["admin"]}],
                "repositories": [
                    {
                        "name": forge.world.repo_name,
                        "forge": flavour,
                        "id": str(forge.world.repo_id),
                        "url": git.url("acme/models"),
                        "api": forge.url,
                        "private_api": True,
                        "protocols": ["http"],
                        "credential": {"token": {"env": "FORGE_TOKEN"}},
                        "webhook_secrets": [{"env": "HOOK_SECRET"}],
                        "specs": ["spec.yaml", "specs/*/spec.yaml"],
                        "targets": {"shelf": {"path": "shelf"}},
                    }
                ],
            },
            environment={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "API_TOKEN": API_TOKEN,
                "HOOK_SECRET": HOOK_SECRET,
                "FORGE_TOKEN": forge.world.token,
            },
        )
        stage.port = stage.settings["listen"]["port"]
        forge.world.people["mona"] = (7, "write")
        forge.world.people["mallory"] = (FORKER, "read")
        stage.run_git("init", "-q", "-b", "main")
        try:
            yield stage
        finally:
            stage.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
