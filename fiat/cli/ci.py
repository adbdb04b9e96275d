"""`fiat ci`: a spec in a CI job."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from fiat.cli.options import Overrides, SpecName
from fiat.wiring.ci import Wish, run_in_job


def command(
    spec: SpecName,
    overrides: Overrides = None,
    mode: Annotated[
        Literal["run", "judge", "plan"],
        typer.Option(help="run; judge: release and deploy nothing; plan: run nothing."),
    ] = "run",
    compute: Annotated[
        str | None, typer.Option(help="Where steps run: ray or local; left out: FIAT_COMPUTE, or ray.")
    ] = None,
    comment: Annotated[
        bool, typer.Option(help="Write one comment on the pull request, and keep it up to date.")
    ] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Outside of a job: show every line that steps print.")
    ] = False,
) -> int:
    """Run a spec in a job of GitHub Actions (or Gitea's, Forgejo's), and tell the job and the pull request.

    Writes the job's summary, outputs and annotations. A pull request is only judged. The Action of this repository
    calls it; outside of a job it does what `fiat run` does. Exit codes are the same.
    """
    wish = Wish(mode=mode, compute=compute, comment=comment, verbose=verbose)
    return run_in_job(spec, overrides or [], wish, os.environ, Path.cwd())
