"""A whole runner for tests: the real program, git over HTTP, forges over HTTP, and a person's clones.

with runner_stage(tmp_path) as stage:
    stage.start()
    commit = stage.commit({"spec.yaml": SPEC}, "a model")
    stage.push("main")
    stage.wait_state(commit, "fiat/push", "success")
"""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from tests.e2e.hook_words import HOOK_SECRET, SIGNING_SECRET
from tests.e2e.repo_stage import MALLORY, MONA, RepoStage
from tests.e2e.runner_process import API_TOKEN, PROGRAM, Answer, RunnerProcess

sys.path.insert(0, str(Path(__file__).parents[1] / "builtin"))
sys.path.insert(0, str(Path(__file__).parents[1] / "git"))
from forge_places import APP_ID, AppPlace
from forge_stage import ForgeStage, forge_stage
from git_server import GitServer, serving

__all__ = ["API_TOKEN", "HOOK_SECRET", "PROGRAM", "Answer", "RepoStage", "RunnerStage", "runner_stage"]
FORKER = MALLORY[0]
_LEVELS = {"gitlab": (30, 20)}
_FIRST_ID = 4711

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


class RunnerStage(RunnerProcess, RepoStage):
    """The runner and its world; it stands for its first repository, `acme/models`, too.

    Args:
        process: where and how the runner runs.
        first: its first repository.
        opened: closed at the end.

    Attributes:
        others: further repositories, by name.
    """

    def __init__(self, process: RunnerProcess, first: RepoStage, opened: ExitStack) -> None:
        RunnerProcess.__init__(self, process.folder, process.settings, process.environment, process.port)
        RepoStage.__init__(self, self, first.name, first.git, first.forge, first.clone, first.entry)
        self.others: dict[str, RepoStage] = {}
        self._opened = opened

    def add(self, name: str, flavour: str = "github", *, app: bool = False, **entry: Any) -> RepoStage:
        """A further repository, on a forge of its own; before the runner starts.

        Args:
            name: `owner/name`.
            flavour: kind of forge.
            app: the runner has a GitHub App there, and git takes its installation tokens only.
            entry: of the runner's settings, in place of the usual.
        """
        forge = self._opened.enter_context(forge_stage(flavour))
        world = forge.world
        world.repo_name = name
        world.repo_id = _FIRST_ID + 10 * (len(self.others) + 1)
        world.fork_id = world.repo_id + 1
        folder = self.folder / name.replace("/", "-")
        password = "of-a-person" if app else ""
        git = self.git
        if app:
            git = self._opened.enter_context(serving(folder / "served"))
            git.knows = lambda shown: shown == password or shown in world.installation_tokens
        made = _repository(self, folder / "clone", git, forge, password)
        if app:
            made.entry["credential"] = _app_credential(forge, folder)
        made.entry.update(entry)
        self.others[name] = made
        self.settings["repositories"].append(made.entry)
        return made


def _repository(
    runner: RunnerProcess, clone: Path, git: GitServer, forge: ForgeStage, password: str = ""
) -> RepoStage:
    """A repository with an empty clone, people, and the usual settings."""
    world = forge.world
    git.create(world.repo_name)
    writer, reader = _LEVELS.get(forge.flavour, ("write", "read"))
    world.people |= {MONA[1]: (MONA[0], writer), MALLORY[1]: (MALLORY[0], reader)}
    clone.mkdir(parents=True)
    secrets = ["HOOK_SECRET", "SIGNING_SECRET"] if forge.flavour == "gitlab" else ["HOOK_SECRET"]
    entry = {
        "name": world.repo_name,
        "forge": forge.flavour,
        "id": str(world.repo_id),
        "url": git.url(world.repo_name),
        "api": forge.url,
        "private_api": True,
        "protocols": ["http"],
        "credential": {"token": {"env": "FORGE_TOKEN"}},
        "webhook_secrets": [{"env": name} for name in secrets],
        "specs": ["spec.yaml", "specs/*/spec.yaml"],
        "targets": {"shelf": {"path": "shelf"}},
    }
    made = RepoStage(runner, world.repo_name, git, forge, clone, entry, password)
    made.run_git("init", "-q", "-b", "main")
    return made


def _app_credential(forge: ForgeStage, folder: Path) -> dict[str, Any]:
    """The App's key as GitHub gives it out, in a file beside the settings."""
    key = folder / "app.pem"
    key.write_text(AppPlace(forge, rsa.generate_private_key(public_exponent=65537, key_size=2048)).pem)
    return {"app": APP_ID, "key": {"file": str(key)}}


@contextmanager
def runner_stage(
    folder: Path, *, compute: str = "local", workers: int = 1, flavour: str = "github", port: int = 0
) -> Iterator[RunnerStage]:
    """A world with a runner that is not started yet."""
    with ExitStack() as opened:
        git = opened.enter_context(serving(folder / "served"))
        forge = opened.enter_context(forge_stage(flavour))
        settings = {
            "fiat_runner": 1,
            "listen": {"port": port or _free_port()},
            "store": "state",
            "compute": compute,
            "workers": workers,
            "reconcile_every": "60s",
            "lease": "6s",
            "tokens": [{"name": "test", "secret": {"env": "API_TOKEN"}, "scopes": ["admin"]}],
            "repositories": [],
        }
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "API_TOKEN": API_TOKEN,
            "HOOK_SECRET": HOOK_SECRET,
            "SIGNING_SECRET": SIGNING_SECRET,
            "FORGE_TOKEN": forge.world.token,
        }
        process = RunnerProcess(folder, settings, environment, settings["listen"]["port"])
        stage = RunnerStage(process, _repository(process, folder / "clone", git, forge), opened)
        settings["repositories"].append(stage.entry)
        opened.callback(stage.stop)
        yield stage


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
