"""Everything that `fiat trigger` needs, from its options and the environment; light, since clients have little installed."""

import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from fiat.builtin.report_comment import Topic, result_body
from fiat.builtin.report_plain import PlainReporter
from fiat.engine.silent import SilentReporter
from fiat.errors import EnvironmentFault, SpecError
from fiat.ports.report import Reporter, Told
from fiat.wiring.ci_files import metrics_json, write_outputs, write_summary
from fiat.wiring.ci_job import Job
from fiat.wiring.ci_reporter import JobReporter
from fiat.wiring.ci_words import command, harmless
from fiat.wiring.client import Client, Outcome, Wish
from fiat.wiring.client_link import open_link
from fiat.wiring.client_show import FarReporter

SPEC_FILE = "spec.yaml"
_GIT_TIMEOUT_S = 20.0


def open_client(
    url: str, token_variable: str, environment: Mapping[str, str], job: Job, *, json: bool, patience_s: float
) -> Client:
    """A client of the runner at a URL.

    Args:
        url: its public address.
        token_variable: variable that holds the token.
        environment: of the process.
        job: the CI job around us.
        json: nothing but one document goes to standard output.
        patience_s: how long the runner may be away.

    Raises:
        EnvironmentFault: the variable is not set.
        SpecError: the URL is none.
    """
    token = environment.get(token_variable, "").strip()
    if not token:
        raise EnvironmentFault(
            f"the variable {token_variable} is not set",
            hint="it holds a token of the runner's settings with the scopes read and trigger; see --token-env",
        )
    if job.inside:
        sys.stdout.write(command("add-mask", token) + "\n")
    say = _speaker(job)
    return Client(open_link(url, token, environment, say, patience_s), _listener(job, json=json), say)


def make_wish(words: Sequence[str], repo: str | None, ref: str | None, job: Job, here: Path) -> Wish:
    """What is asked for, with what the CI job or the checkout says where the user says nothing.

    Args:
        words: specs, and overrides with `=`.
        repo: as typed.
        ref: as typed.
        job: the CI job around us.
        here: the working directory.

    Raises:
        SpecError: neither says which repository or commit is meant.
    """
    repo = repo or job.repository
    if not repo:
        raise SpecError("which repository is meant?", hint="name it as the runner does: --repo acme/models")
    ref = ref or job.head or _head(here)
    if not ref:
        raise SpecError("which commit is meant?", hint="name a branch, tag or commit: --commit main")
    overrides = tuple(word for word in words if "=" in word or word.startswith("~"))
    specs = tuple(_spec(word, here) for word in words if word not in overrides)
    return Wish(repo, ref, specs, overrides)


def tell_job(job: Job, outcome: Outcome) -> None:
    """Write outputs and summary of the CI job's step; nothing outside of one."""
    texts = [
        result_body(Topic(job.repository, run.spec, run.commit, run=run.id, url=url), Told(run))
        for run, url in zip(outcome.runs, outcome.urls, strict=True)
    ]
    write_summary(job.summary, "\n\n".join(texts) or f"Nothing ran: {outcome.reason}")
    run = outcome.runs[0] if len(outcome.runs) == 1 else None
    write_outputs(
        job.output,
        {
            "verdict": outcome.verdict or "",
            "run": " ".join(item.id for item in outcome.runs),
            "metrics": metrics_json(run.metrics if run else ()),
            "model": "",
            "model-digest": run.model_digest if run else "",
            "report": outcome.url,
        },
    )


def _speaker(job: Job) -> Callable[[str], None]:
    def say(text: str) -> None:
        sys.stderr.write(harmless(text) + "\n" if job.inside else text + "\n")
        sys.stderr.flush()

    return say


def _listener(job: Job, *, json: bool) -> Callable[[], Reporter]:
    def listener() -> Reporter:
        if json:
            return SilentReporter()
        near = JobReporter(sys.stdout) if job.inside else PlainReporter(sys.stdout, verbose=True)
        return FarReporter(near, sys.stdout)

    return listener


def _spec(word: str, here: Path) -> str:
    """A spec's path from the top of the checkout when it is a file or folder here, else its name as typed."""
    path = here / word
    if (path / SPEC_FILE).is_file():
        path = path / SPEC_FILE
    if not path.is_file():
        return word
    top = next((folder for folder in path.resolve().parents if (folder / ".git").exists()), None)
    return path.resolve().relative_to(top).as_posix() if top else word


def _head(here: Path) -> str:
    """The commit that is checked out; empty outside git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--verify", "--quiet", "HEAD"],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
