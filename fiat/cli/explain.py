"""`fiat explain`: why each step runs or is reused."""

import os
from typing import Annotated

import typer

from fiat.cli.options import Json, SpecName
from fiat.cli.output import print_json
from fiat.errors import SpecError
from fiat.wiring.desk import open_desk
from fiat.wiring.settings import read_settings
from fiat.wiring.views import show_explanation


def command(
    spec: SpecName,
    step: Annotated[
        list[str] | None,
        typer.Argument(metavar="STEP|KEY=VALUE", help="Steps to explain, left out: all; and overrides."),
    ] = None,
    json: Json = False,
) -> int:
    """Say why each step runs or is reused, naming every part that changed.

    A word without `=` after the spec names one step; words with `=` are overrides.
    """
    words = step or []
    overrides = [word for word in words if "=" in word or word.startswith("~")]
    names = [word for word in words if word not in overrides]
    with open_desk(spec, overrides, read_settings(os.environ)) as desk:
        known = [item.name for item in desk.plan.steps]
        for name in names:
            if name not in known:
                raise SpecError(f"there is no step {name}", hint=f"steps: {', '.join(known)}")
        desk.decider.look_ahead()
        walk = desk.walk()
        walk.advance()
        decisions = [item for item in desk.plan_decisions(walk) if not names or item.step in names]
        if json:
            parts = {name: walk.decided[name].parts for name in names if name in walk.decided}
            print_json({"spec": desk.plan.spec, "steps": decisions, "parts": parts})
        else:
            show_explanation(desk.plan, decisions)
        return 0
