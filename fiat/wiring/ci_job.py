"""What the environment of a CI job says: event, repository, pull request, files to write to."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fiat.errors import EnvironmentFault

Mode = Literal["run", "plan", "judge"]
MOST_EVENT_BYTES = 32 << 20
# Only what is on a branch of the repository itself may deploy; everything else is judged.
DEPLOYING = frozenset({"", "push", "schedule", "workflow_dispatch", "repository_dispatch", "release"})
# These run with the repository's secrets although a stranger can cause them.
PRIVILEGED = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
# The job's own credentials are not for steps, not even for those that name them.
OWN_CREDENTIALS = (
    "GITHUB_TOKEN",
    "GITEA_TOKEN",
    "FORGEJO_TOKEN",
    "FIAT_RUNNER_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_URL",
)
_PULL_REF = re.compile(r"refs/pull/(\d+)/")


@dataclass(frozen=True)
class Job:
    """A job of GitHub Actions, or of what Gitea and Forgejo have like it.

    Attributes:
        inside: the program runs in such a job, so commands on standard output are understood.
        forge: name of the forge plugin: `github`, `gitea` or `forgejo`.
        event: such as `push` or `pull_request`; empty outside a job.
        repository: `owner/name`.
        repository_id: numeric id as text, empty when unknown.
        api: base URL of the forge's API.
        commit: commit that the event is about; for a pull request the merge that the forge tries out.
        head: the newest commit of the pull request; else as `commit`.
        pull: number of the pull request, 0 for none.
        fork: the pull request comes from another repository.
        run_url: page of the job, empty when unknown.
        workspace: the checkout that paths of annotations are relative to.
        temp: folder for files that later steps of the job may want.
        output: file for outputs, None outside a job.
        summary: file for the job summary, None outside a job.
        token: to comment with, empty for none.
    """

    inside: bool
    forge: str
    event: str
    repository: str
    repository_id: str
    api: str
    commit: str
    head: str
    pull: int
    fork: bool
    run_url: str
    workspace: Path
    temp: Path
    output: Path | None
    summary: Path | None
    token: str = field(default="", repr=False)


def read_job(environment: Mapping[str, str], here: Path) -> Job:
    """Read the environment of the job.

    Source: "Default environment variables", docs.github.com; Gitea and Forgejo set the same names beside their own.

    Args:
        environment: of the process.
        here: the working directory.

    Raises:
        EnvironmentFault: the file with the event is no JSON object of a sane size.
    """
    inside = environment.get("GITHUB_ACTIONS") == "true"
    event = _event(environment.get("GITHUB_EVENT_PATH", "")) if inside else {}
    server = environment.get("GITHUB_SERVER_URL", "")
    repository = environment.get("GITHUB_REPOSITORY", "")
    number = environment.get("GITHUB_RUN_ID", "")
    return Job(
        inside=inside,
        forge=_forge(environment),
        event=environment.get("GITHUB_EVENT_NAME", "") if inside else "",
        repository=repository,
        repository_id=environment.get("GITHUB_REPOSITORY_ID", "") or _text(_part(event, "repository"), "id"),
        api=environment.get("GITHUB_API_URL", "https://api.github.com"),
        commit=environment.get("GITHUB_SHA", ""),
        head=_text(_part(_part(event, "pull_request"), "head"), "sha") or environment.get("GITHUB_SHA", ""),
        pull=_pull(event, environment.get("GITHUB_REF", "")) if inside else 0,
        fork=_is_fork(event),
        run_url=f"{server}/{repository}/actions/runs/{number}" if server and repository and number else "",
        workspace=Path(environment.get("GITHUB_WORKSPACE") or here),
        temp=Path(environment.get("RUNNER_TEMP") or here),
        output=_file(environment, "GITHUB_OUTPUT") if inside else None,
        summary=_file(environment, "GITHUB_STEP_SUMMARY") if inside else None,
        token=environment.get("GITHUB_TOKEN", ""),
    )


def allowed_mode(job: Job, wanted: Mode) -> Mode:
    """What may be done: only events of the repository's own branches may release and deploy."""
    return "judge" if wanted == "run" and job.event not in DEPLOYING else wanted


def refuse_strangers(job: Job, commit: str) -> None:
    """Refuse to run code of a pull request in a job that has the repository's secrets.

    Args:
        job: the job.
        commit: what is checked out.

    Raises:
        EnvironmentFault: the event is privileged and the checkout is not the commit that it belongs to.
    """
    if job.event in PRIVILEGED and commit != job.commit:
        raise EnvironmentFault(
            f"an event {job.event} has this repository's secrets, and {commit[:12] or 'a folder without git'} "
            "is not the commit that it belongs to",
            hint="use the event pull_request for code of pull requests",
        )


def without_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that secrets of steps are taken from: without the job's own credentials."""
    return {name: value for name, value in environment.items() if name not in OWN_CREDENTIALS}


def _event(path: str) -> Mapping[str, object]:
    if not path or not Path(path).is_file():
        return {}
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_EVENT_BYTES + 1)
        document = json.loads(content) if len(content) <= MOST_EVENT_BYTES else None
    except (OSError, ValueError, RecursionError) as error:
        raise EnvironmentFault(f"the event in {path} can't be read: {error}") from None
    if not isinstance(document, dict):
        raise EnvironmentFault(f"the event in {path} is no JSON object, or is too large")
    return document


def _forge(environment: Mapping[str, str]) -> str:
    for name in ("forgejo", "gitea"):
        if environment.get(f"{name.upper()}_ACTIONS") == "true":
            return name
    return "github"


def _pull(event: Mapping[str, object], ref: str) -> int:
    number = _part(event, "pull_request").get("number")
    if isinstance(number, int):
        return number
    match = _PULL_REF.match(ref)
    return int(match[1]) if match else 0


def _is_fork(event: Mapping[str, object]) -> bool:
    pull = _part(event, "pull_request")
    if not pull:
        return False
    head, base = (_part(_part(pull, side), "repo") for side in ("head", "base"))
    return not head or head.get("id") != base.get("id")


def _part(holder: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = holder.get(key)
    return value if isinstance(value, dict) else {}


def _text(holder: Mapping[str, object], key: str) -> str:
    value = holder.get(key)
    return str(value) if isinstance(value, int | str) else ""


def _file(environment: Mapping[str, str], name: str) -> Path | None:
    return Path(environment[name]) if environment.get(name) else None
