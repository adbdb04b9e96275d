"""`fiat diff`: what the targets of a spec have, beside what git says."""

import os

from fiat.cli.options import Json, SpecName
from fiat.cli.output import print_json
from fiat.errors import EXIT_DONE, EXIT_REFUSED
from fiat.wiring.deploying import differences, model_changes
from fiat.wiring.desk import open_desk
from fiat.wiring.place_rows import version_name
from fiat.wiring.settings import read_settings
from fiat.wiring.views import show_differences


def command(spec: SpecName, json: Json = False) -> int:
    """Compare what stands on a spec's targets with the model of this commit: parameters, data, metrics, files.

    Nothing is run and nothing changed. Exit code 0: all targets have this commit's model; 1: something differs.
    """
    with open_desk(spec, [], read_settings(os.environ)) as desk:
        found = differences(desk)
        changes = {
            item.target: model_changes(desk, item.has or "", item.wanted) for item in found if not item.same
        }
        if json:
            print_json([{"target": one, "changes": changes.get(one.target, [])} for one in found])
        else:
            names = {
                digest: version_name(desk.store, desk.release_name, digest)
                for one in found
                for digest in (one.wanted, one.has)
                if digest
            }
            show_differences(desk.plan.spec, found, changes, names)
        return EXIT_DONE if all(one.same for one in found) else EXIT_REFUSED
