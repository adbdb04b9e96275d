"""`fiat run`: run what changed, judge, package, deploy."""

import os
from pathlib import Path
from typing import Annotated

import typer

from fiat.cli.options import Json, Overrides, SpecName
from fiat.cli.output import print_json
from fiat.engine.package_folder import package_folder
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.run.model import Run
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import read_settings
from fiat.wiring.views import make_reporter


def command(
    spec: SpecName,
    overrides: Overrides = None,
    json: Json = False,
    compute: Annotated[
        str | None, typer.Option(help="Where steps run: ray or local; left out: FIAT_COMPUTE, or ray.")
    ] = None,
    runner: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Run steps where this runner's settings say (compute, ray_address, remote), as FIAT_RUNNER_FILE does.",
        ),
    ] = None,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STEP", help="Run this step even if it could be reused.")
    ] = None,
    judge_only: Annotated[
        bool, typer.Option("--judge-only", help="Train and judge, but release and deploy nothing.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every line that steps print.")
    ] = False,
) -> int:
    """Run what changed, judge the model, package and deploy it.

    Steps whose inputs, code, parameters and packages are as before are reused; when nothing changed, Ray does not
    start. Exit code 0: done; 1: a gate refused or a step failed; 2: mend the spec; 3: mend the machine.
    """
    settings = read_settings(os.environ, runner)
    with open_desk(spec, overrides or [], settings) as desk:
        with make_reporter(json=json, verbose=verbose) as reporter:
            run = desk.apply(
                desk.new_run(),
                reporter,
                compute=compute or settings.compute,
                dry=judge_only,
                force=force or [],
            )
        if json:
            print_json(summary(desk, run))
        return EXIT_DONE if run.verdict in ("pass", "warn") else EXIT_REFUSED


def summary(desk: Desk, run: Run) -> dict[str, object]:
    """The document of `fiat run --json`."""
    path = package_folder(desk.store, run.model_digest) if run.model_digest else None
    return {
        "run": run.id,
        "verdict": run.verdict,
        "steps": [
            {"name": step.name, "state": step.state, "seconds": round(step.seconds, 3), "reason": step.reason}
            for step in run.steps
        ],
        "metrics": {metric.name: metric.value for metric in run.metrics if not metric.slice},
        "gates": run.gates,
        "model": {"digest": run.model_digest, "path": path} if run.model_digest else None,
    }
