"""`fiat deploy`: bring the targets of a spec to the model that this commit was judged to have."""

import os
import sys
from typing import Annotated

import typer

from fiat.cli.options import Json, SpecName
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.wiring.deploying import deploy_desk, waiting_steps
from fiat.wiring.desk import open_desk
from fiat.wiring.place_rows import place_rows
from fiat.wiring.places import follow
from fiat.wiring.registry_names import acting_person
from fiat.wiring.settings import read_settings
from fiat.wiring.views import show_places


def command(
    spec: SpecName,
    targets: Annotated[
        list[str] | None, typer.Argument(metavar="[TARGET]...", help="Only these targets; left out: all.")
    ] = None,
    approve: Annotated[
        bool, typer.Option("--approve", help="Agree to targets that say `approval: true`.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until traffic has moved; Ctrl-C leaves it moving.")
    ] = True,
    json: Json = False,
) -> int:
    """Bring a spec's targets to the model of this commit, and mend what differs there. Nothing is trained.

    When steps would have to run first it says which: `fiat run` makes and deploys a model. Exit code 0: done; 1: something
    must run first, is held back, or went back by itself.
    """
    with open_desk(spec, [], read_settings(os.environ)) as desk:
        if missing := waiting_steps(desk):
            sys.stderr.write(
                f"this commit has no judged model yet: {', '.join(missing)} would run first; say `fiat run {spec}`\n"
            )
            return EXIT_REFUSED
        done = deploy_desk(desk, frozenset(targets) if targets else None, acting_person() if approve else "")
        sights = list(done.sights)
        for number, sight in enumerate(sights):
            if wait and sight.under_way:
                told = (
                    (lambda _: None) if json else (lambda seen: show_places(place_rows(desk.store, [seen])))
                )
                sights[number] = follow(done.placer, sight.deployment, told)
        if json:
            print_json({"targets": sights, "not_deployed": done.reasons})
        else:
            show_places(place_rows(desk.store, sights))
            for target, reason in done.reasons.items():
                print(f"{target}: {reason}")
        well = not done.reasons and all(
            not sight.drift and sight.deployment.state != "refused" for sight in sights
        )
        return EXIT_DONE if well else EXIT_REFUSED
