"""The pretended forges as the suite wants them."""

from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from forge_stage import LOST, Fault, ForgeStage, busy

from fiat.builtin.forge_gitea import ForgejoForge, GiteaForge
from fiat.builtin.forge_github import GithubForge
from fiat.builtin.forge_gitlab import GitlabForge
from fiat.ports.forge import Forge

APP_ID = "77"
_KINDS: dict[str, Any] = {
    "github": GithubForge,
    "gitlab": GitlabForge,
    "gitea": GiteaForge,
    "forgejo": ForgejoForge,
}


class StagePlace:
    """A stage with a personal token."""

    def __init__(self, stage: ForgeStage) -> None:
        self.stage = stage
        self.world = stage.world

    def forge(self, token: str = "") -> Forge:
        made: Forge = _KINDS[self.stage.flavour](self.stage.repo(token=token or self.world.token))
        return made

    def states(self, commit: str, context: str) -> list[str]:
        return self.world.states(commit, context)

    def texts(self, pull: int) -> list[str]:
        return self.world.texts(pull)

    def write_as_stranger(self, pull: int, body: str) -> None:
        self.world.add_comment(pull, body, (666, "mallory"))

    def delete_comments(self, pull: int) -> None:
        self.world.delete_comments(pull)

    def open_pull(self, number: int, commit: str, head_repo_id: int | None) -> None:
        if self.stage.flavour == "gitlab":
            pull: dict[str, Any] = {
                "iid": number,
                "sha": commit,
                "source_branch": "topic",
                "target_branch": "main",
                "source_project_id": head_repo_id,
                "target_project_id": self.world.repo_id,
                "author": {"id": 55},
            }
        else:
            head_repo = None if head_repo_id is None else {"id": head_repo_id}
            pull = {
                "number": number,
                "head": {"ref": "topic", "sha": commit, "repo": head_repo},
                "base": {"ref": "main", "repo": {"id": self.world.repo_id}},
                "user": {"id": 55},
            }
        self.world.pulls.append(pull)

    def person(self, person_id: int, name: str, *, writes: bool) -> None:
        words: tuple[Any, Any] = (30, 20) if self.stage.flavour == "gitlab" else ("write", "read")
        self.world.people[name] = (person_id, words[0] if writes else words[1])

    def lose_reply(self) -> None:
        self.stage.fail(LOST, method="P")  # POST, PUT, PATCH

    def be_busy(self, seconds: int) -> None:
        self.stage.fail(busy(seconds, 429))

    def break_down(self, status: int) -> None:
        self.stage.fail(Fault(status, None, {"Content-Type": "text/html"}))


class AppPlace(StagePlace):
    """GitHub with an App as credential."""

    def __init__(self, stage: ForgeStage, key: rsa.RSAPrivateKey) -> None:
        super().__init__(stage)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.pem = pem_of(key)
        self.world.app_key = public.decode()

    def forge(self, token: str = "") -> GithubForge:
        if token:
            other = pem_of(rsa.generate_private_key(public_exponent=65537, key_size=2048))
            return GithubForge(self.stage.repo(app_id=APP_ID, app_key=other))
        return GithubForge(self.stage.repo(app_id=APP_ID, app_key=self.pem))

    def lose_reply(self) -> None:
        self.stage.fail(LOST, method="P", path="^/repos/")

    def break_down(self, status: int) -> None:
        self.stage.fail(Fault(status, None, {"Content-Type": "text/html"}))


def pem_of(key: rsa.RSAPrivateKey) -> str:
    """A private key as GitHub gives it out."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
