"""Freeze the schema of a spec's data, and compare it with an earlier one."""

import os
from collections.abc import Sequence
from pathlib import Path

from fiat.builtin.step_check import SCHEMA
from fiat.errors import EnvironmentFault, SpecError
from fiat.validate.infer import infer_schema
from fiat.validate.schema_diff import Change, diff_schemas
from fiat.validate.schema_file import read_schema
from fiat.validate.schema_write import write_schema
from fiat.wiring.data_target import Target


def freeze_schema(target: Target, output: Path | None, *, ranges: bool, force: bool) -> tuple[Path, str]:
    """Write the inferred schema.

    Args:
        target: a spec's dataset.
        output: the file; None for the one that the spec names, or `schemas/<name>.yaml` beside the spec.
        ranges: also the smallest and largest numbers.
        force: write over a file that is there.

    Returns:
        The file, and the line that the spec needs; empty when it has it.

    Raises:
        SpecError: the target is no spec, or the file is there already.
        EnvironmentFault: the disk refused.
    """
    if target.desk is None or target.step is None:
        raise SpecError(
            "only the schema of a spec's data is frozen", hint="`fiat data schema FILE` prints one"
        )
    named = target.desk.loaded.spec.data[target.name].schema_
    place = (
        target.desk.root / named if named else target.desk.loaded.path.parent / f"schemas/{target.name}.yaml"
    )
    path = output or place
    if path.exists() and not force:
        hint = "`fiat schema diff` says what changed; --force writes over it"
        raise SpecError(f"{path} is there already", hint=hint)
    profile = target.profile()
    text = write_schema(infer_schema(profile, ranges=ranges), profile)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".part")
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise EnvironmentFault(
            f"can't write {path}: {error.strerror}", hint="choose another with -o"
        ) from None
    relative = os.path.relpath(path, target.desk.root)
    return path, "" if named and path == place else f"schema: {relative}"


def compare_schema(target: Target) -> tuple[str, Sequence[Change]]:
    """What changed between an earlier schema and the one that is inferred from the data now.

    Returns:
        What it was compared with, in words, and the changes.

    Raises:
        SpecError: there is nothing to compare with.
    """
    now = infer_schema(target.profile())
    previous = target.previous()
    if target.declared is not None and target.step is not None:
        return str(target.step.params["schema"]), diff_schemas(target.declared, now)
    if previous is None:
        raise SpecError(
            "there is no earlier schema to compare with",
            hint="`fiat schema freeze` writes one; a run with `checks` remembers the data's",
        )
    text = (previous / SCHEMA).read_text("utf-8")
    return "the data of the run before", diff_schemas(read_schema(text, SCHEMA), now)
