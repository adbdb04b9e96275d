"""`fiat plan`: what would run, what is reused."""

import os

from fiat.cli.options import Json, Overrides, SpecName
from fiat.cli.output import print_json
from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings
from fiat.wiring.views import show_plan


def command(spec: SpecName, overrides: Overrides = None, json: Json = False) -> int:
    """Show what a run would do: what runs, what is reused, what waits for another step.

    Nothing is run, no code of the repository is imported, and Ray is not started.
    """
    with open_desk(spec, overrides or [], read_settings(os.environ)) as desk:
        desk.decider.look_ahead()
        walk = desk.walk()
        walk.advance()
        decisions = desk.plan_decisions(walk)
        if json:
            print_json({"spec": desk.plan.spec, "plan_digest": desk.plan.digest, "steps": decisions})
        else:
            show_plan(desk.plan, decisions)
        return 0
