"""`fiat trigger`: let a runner run specs, and follow it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_INTERRUPTED, FiatError, SpecError
from fiat.wiring.ci_job import Job, read_job
from fiat.wiring.ci_words import remark
from fiat.wiring.client import Client, Outcome
from fiat.wiring.client_desk import make_wish, open_client, tell_job
from fiat.wiring.client_link import PATIENCE_S

USUAL_VARIABLE = "FIAT_RUNNER_TOKEN"


def command(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SPEC|KEY=VALUE", help="Specs, left out: those that the commit touches; and overrides."
        ),
    ] = None,
    runner: Annotated[
        str, typer.Option(metavar="URL", envvar="FIAT_RUNNER_URL", help="Public address of the runner.")
    ] = "",
    token_env: Annotated[
        str, typer.Option("--token-env", metavar="NAME", help="Variable that holds the runner's token.")
    ] = USUAL_VARIABLE,
    repo: Annotated[
        str | None, typer.Option(metavar="OWNER/NAME", help="Repository; left out: that of the CI job.")
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(metavar="REF", help="Branch, tag or full commit; left out: the one checked out here."),
    ] = None,
    attach: Annotated[
        str | None, typer.Option(metavar="RUN", help="Start nothing: follow this run or change.")
    ] = None,
    follow: Annotated[bool, typer.Option(help="Follow to the verdict, or only submit.")] = True,
    patience: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long the runner may be away.")
    ] = PATIENCE_S,
    json: Json = False,
) -> int:
    """Let a runner run specs of a commit, and follow them to their verdict.

    Ctrl-C ends the following, not the runs; --attach follows again. A connection that breaks, or a runner that is
    started anew, is waited for. Exit code as for `fiat run`.
    """
    job = read_job(os.environ, Path.cwd())
    with _told_job(job):
        if not runner:
            raise SpecError(
                "which runner is meant?", hint="--runner https://fiat.example.org, or FIAT_RUNNER_URL"
            )
        client = open_client(runner, token_env, os.environ, job, json=json, patience_s=patience)
        name = attach
        try:
            if name is None:
                name = client.submit(make_wish(words or [], repo, commit, job, Path.cwd()))
                client.say(f"change {name} is submitted to {client.link.url}")
            outcome = client.follow(name) if follow else None
        except KeyboardInterrupt:
            return _detached(client, name)
    if outcome is None:
        if json:
            print_json({"change": name})
        return EXIT_DONE
    tell_job(job, outcome)
    if json:
        print_json(_document(outcome))
    return outcome.exit_code


@contextmanager
def _told_job(job: Job) -> Iterator[None]:
    """In a CI job an error is an annotation too, since nobody looks for it in the log."""
    try:
        yield
    except FiatError as error:
        if job.inside:
            text = f"{error.message}\n{error.hint}" if error.hint else error.message
            sys.stdout.write(remark("error", text, title="fiat trigger") + "\n")
        raise


def _detached(client: Client, name: str | None) -> int:
    """Say how to follow again; the runs go on."""
    if name is None:
        sys.stderr.write("interrupted before the runner had answered\n")
    else:
        again = f"fiat trigger --runner {client.link.url} --attach {name}"
        sys.stderr.write(f"detached; it goes on without us. To follow again:\n  {again}\n")
    return EXIT_INTERRUPTED


def _document(outcome: Outcome) -> dict[str, object]:
    """The document of `fiat trigger --json`."""
    return {
        "change": outcome.change,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        "url": outcome.url,
        "runs": [
            {
                "run": run.id,
                "spec": run.spec,
                "verdict": run.verdict,
                "reason": run.reason,
                "metrics": {metric.name: metric.value for metric in run.metrics if not metric.slice},
                "gates": run.gates,
                "model": {"digest": run.model_digest} if run.model_digest else None,
            }
            for run in outcome.runs
        ],
    }
