"""Run a run again from its commit, apart from everything, and compare what it made."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fiat.engine.checkout import Checkout
from fiat.engine.warm import Warm
from fiat.errors import SpecError
from fiat.plan.training import WARM_ROLE
from fiat.ports.report import Reporter
from fiat.run.model import Run
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.shelf import Shelf


@dataclass(frozen=True)
class Compared:
    """One output, then and now: digests, empty where there is none."""

    step: str
    output: str
    then: str
    now: str

    @property
    def same(self) -> bool:
        """Whether the bytes are the same."""
        return self.then == self.now


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        run: the run that was reproduced.
        outputs: every output of it that can be the same.
        same: every output has the same bytes.
        notes: sentences about what could not be the same.
    """

    run: str
    outputs: tuple[Compared, ...]
    same: bool
    notes: tuple[str, ...]


def reproduce_run(shelf: Shelf, run: Run, reporter: Reporter, *, compute: str) -> Reproduction:
    """Check out the run's commit into a folder of its own, run everything with an empty memory, compare.

    The artifact cache is shared (it is content-addressed), results are not; releases from before the run are
    known, so that the baseline is the same; training starts from the model that it started from then.

    Raises:
        SpecError: the run has no commit, or the commit is gone.
    """
    if not run.commit:
        raise SpecError(f"run {run.id} was not made from a git commit", hint="commit, run, then reproduce")
    notes = ["the working tree had changes that are in no commit"] if run.dirty else []
    with tempfile.TemporaryDirectory(prefix="fiat-reproduce-") as name:
        clone = Path(name) / "a" / "checkout"
        _clone(shelf.root, run.commit, clone)
        settings = replace(shelf.settings, store=clone / ".fiat", database_url=None)
        here = Path.cwd()
        os.chdir(clone)
        try:
            with open_desk(run.spec_path, run.overrides, settings) as desk:
                notes += _bring_data(desk, shelf.root, Path(name))
                _share(shelf, desk, run)
                again = desk.apply(desk.new_run(), reporter, compute=compute, dry=True)
        finally:
            os.chdir(here)
    elsewhere = _made_elsewhere(shelf, run)
    notes += elsewhere.values()
    outputs = tuple(row for row in _compare(run, again) if row.step not in elsewhere)
    return Reproduction(run.id, outputs, all(item.same for item in outputs) and bool(outputs), tuple(notes))


def _clone(root: Path, commit: str, target: Path) -> None:
    target.parent.mkdir(parents=True)
    source = Checkout(root)
    source.run_git("clone", "--quiet", "--local", "--no-checkout", "--", str(root), str(target))
    if not Checkout(target).run_git("cat-file", "-t", commit, check=False).strip() == "commit":
        raise SpecError(f"commit {commit[:12]} is not in this repository", hint="fetch it and try again")
    Checkout(target).run_git("checkout", "--quiet", "--detach", commit)


def _bring_data(desk: Desk, root: Path, limit: Path) -> list[str]:
    """Copy sources that git does not hold."""
    notes = []
    for step in desk.plan.steps:
        for name in step.sources:
            wanted, have = Path(os.path.normpath(desk.root / name)), root / name
            if Path(name).is_absolute() or wanted.exists() or not have.exists():
                continue
            if not wanted.is_relative_to(limit):
                raise SpecError(f"source {name} lies too far outside the checkout to bring it along")
            wanted.parent.mkdir(parents=True, exist_ok=True)
            if have.is_dir():
                shutil.copytree(have, wanted)
            else:
                shutil.copy2(have, wanted)
            notes.append(f"{name} is not in git: taken as it is now")
    return notes


def _share(shelf: Shelf, desk: Desk, run: Run) -> None:
    state_dir = desk.settings.state_dir(desk.root)
    state_dir.mkdir(parents=True, exist_ok=True)
    (state_dir / "cache").symlink_to(shelf.state_dir / "cache", target_is_directory=True)
    for release in reversed(list(shelf.store.releases.newest(desk.model_name))):
        if release.released_at < run.started_at:
            desk.store.releases.add(release)
    desk.warm = _started_from(shelf, run)


def _started_from(shelf: Shelf, run: Run) -> Warm:
    fingerprints = [step.fingerprint for step in run.steps if step.name == "train"]
    for result in shelf.store.results.find_many(fingerprints).values():
        inputs = result.parts.get("inputs")
        if isinstance(inputs, Mapping) and WARM_ROLE in inputs:
            return Warm(str(inputs[WARM_ROLE]), f"starts from the same model as run {run.id} did")
    return Warm("", f"starts anew as run {run.id} did")


def _made_elsewhere(shelf: Shelf, run: Run) -> dict[str, str]:
    """Packages that another run made at another commit, which they name, and what is to be said of them; by step."""
    made = {step.fingerprint: step for step in run.steps if step.kind == "package" and step.state == "reused"}
    said = {}
    for fingerprint, result in shelf.store.results.find_many(made).items():
        try:
            maker = shelf.store.runs.find(result.run)
        except SpecError:
            continue
        if maker.commit != run.commit:
            name = made[fingerprint].name
            said[name] = (
                f"{name} is that of run {maker.id} and names its commit {maker.commit[:12]}: reproduce that run for it"
            )
    return said


def _compare(run: Run, again: Run) -> list[Compared]:
    fresh = {step.name: step for step in again.steps}
    rows = []
    for step in run.steps:
        for output, artifact in step.outputs.items():
            now = fresh[step.name].outputs.get(output) if step.name in fresh else None
            rows.append(Compared(step.name, output, artifact.digest, now.digest if now else ""))
    return rows
