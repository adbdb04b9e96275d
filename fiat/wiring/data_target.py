"""What `fiat data` looks at: a dataset of a spec, or files as they lie there."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fiat.builtin.check_rules import rules_of
from fiat.builtin.step_check import CheckStep, as_guessed, with_derived
from fiat.builtin.step_data import DataStep
from fiat.builtin.step_data_schema import schema_of
from fiat.data.columns import ColumnChoice
from fiat.data.formats import data_files, format_of
from fiat.data.read import read_files
from fiat.data.split import AllTrain
from fiat.data.stream import ReadOptions, SourceFile
from fiat.data.write import write_dataset
from fiat.engine.jobs import source_environment
from fiat.engine.previous import find_previous
from fiat.errors import EnvironmentFault, SpecError
from fiat.plan.model import Ref, Step
from fiat.plan.prepared import SERVED
from fiat.ports.confinement import Confinement
from fiat.ports.step import StepContext
from fiat.profile.document import read_profile
from fiat.profile.measure import profile_dataset
from fiat.profile.model import DataProfile
from fiat.validate.check import find_anomalies
from fiat.validate.findings_file import read_findings
from fiat.validate.infer import infer_schema
from fiat.validate.model import Findings, Schema
from fiat.validate.schema_file import read_schema
from fiat.wiring.desk import Desk, open_desk
from fiat.wiring.settings import Settings

USUAL_CHECKS: tuple[Mapping[str, Any], ...] = (
    {"columns": {"unexpected": "error", "missing": "error"}},
    {"duplicates": {"across": "error", "within": "warn", "max_share": 0.0}},
)
"""What `fiat data check` looks for beside the schema when nobody says."""
_LEAKS: Mapping[str, Any] = {"leak": {"max_score": 0.99}, "severity": "warn"}


@dataclass(frozen=True)
class FileWords:
    """How files are to be read, where their names don't tell.

    Attributes:
        format: of the files; None by their names.
        header: the first line of a CSV names its columns.
        delimiter: between the fields of a CSV; None for a comma, or a tab in `.tsv`.
        label: column to predict; None for none.
        schema: schema file; None for an inferred one.
        environment: which columns of the schema are expected.
    """

    format: str | None = None
    header: bool = True
    delimiter: str | None = None
    label: str | None = None
    schema: Path | None = None
    environment: str = "training"


@dataclass
class Target:
    """Data that are looked at.

    Attributes:
        title: how people call them.
        folder: in the dataset format.
        slices: that are described beside the splits.
        declared: the schema that the user gave; None for none.
        desk: of the spec; None for files.
        step: the dataset's step in the plan; None for files.
        digest: of the dataset in the store; empty when it is not there, and for files.
        label: column to predict.
        environment: which columns of the schema are expected.
        warnings: what reading them warned of.
    """

    title: str
    folder: Path
    work_dir: Path
    slices: tuple[tuple[str, ...], ...] = ()
    declared: Schema | None = None
    desk: Desk | None = None
    step: Step | None = None
    digest: str = ""
    label: str | None = None
    environment: str = "training"
    warnings: tuple[str, ...] = ()
    _profile: DataProfile | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """Name of the dataset under `data`; empty for files."""
        return self.step.name.removeprefix("data.") if self.step is not None else ""

    def profile(self) -> DataProfile:
        """The description of the data, measured once."""
        if self._profile is None:
            self._profile = profile_dataset(self.folder, slices=self.slices)
        return self._profile

    def schema(self) -> Schema:
        """The user's schema, or one inferred from the train split."""
        if self.declared is None:
            return infer_schema(self.profile())
        check = self._check_step()
        return with_derived(self.declared, _texts(check.params.get("derived")) if check else ())

    def previous(self) -> Path | None:
        """Folder of the profile of the accepted data before these; None when there is none, or for files."""
        if self.desk is None:
            return None
        place = self.work_dir / "previous"
        digest = find_previous(self.desk.store, self.desk.plan.spec, f"check.{self.name}", self.digest)
        if not digest or place.exists():
            return place if digest else None
        return _laid(self.desk, digest, place)

    def findings(self) -> Findings:
        """Hold the data against the spec's checks, or the usual ones where it has none."""
        check = self._check_step()
        if check is None:
            rules = rules_of([*USUAL_CHECKS, *([_LEAKS] if self.label else [])])
            schema = self.schema() if self.declared is not None else as_guessed(self.schema())
            return find_anomalies(
                self.folder, self.profile(), schema, rules, {}, environment=self.environment
            )
        assert self.desk is not None  # noqa: S101 - a check step is a spec's
        output = self.work_dir / "checked"
        shutil.rmtree(output, ignore_errors=True)
        inputs = {"dataset": self.folder, **self._others(check)}
        if (previous := self.previous()) is not None and "previous" in check.inputs:
            inputs["previous"] = previous
        if SERVED in check.inputs and (served := self.desk.served()):
            inputs[SERVED] = _laid(self.desk, served, self.work_dir / "served")
        context = StepContext(
            check.kind, check.params, inputs, {"profile": output}, self.desk.root, self.work_dir, check.facts
        )
        CheckStep().run(context, say=lambda line: None)
        self._profile = read_profile(output)
        return read_findings(output)

    def _check_step(self) -> Step | None:
        if self.desk is None:
            return None
        name = f"check.{self.name}"
        return next((step for step in self.desk.plan.steps if step.name == name), None)

    def _others(self, check: Step) -> dict[str, Path]:
        assert self.desk is not None  # noqa: S101 - a check step is a spec's
        found = {}
        for role in check.inputs:
            if role.startswith("data."):
                found[role] = _dataset(self.desk, self.desk.plan.step(role), self.work_dir / role).folder
        return found


@contextmanager
def open_target(
    named: str,
    overrides: Sequence[str],
    settings: Settings,
    words: FileWords,
    wanted: str | None = None,
    *,
    freezing: bool = False,
) -> Iterator[Target]:
    """Get the data ready: those of a spec through its data step (or what the store has of it), files by reading them.

    Args:
        named: spec file or its folder; data file or a folder of them.
        overrides: of the spec.
        settings: of the machine.
        words: how files are read.
        wanted: which dataset of the spec; None for its only one.
        freezing: the schema file that the spec names need not be there yet.

    Raises:
        SpecError: there is no such thing, the spec has several datasets, or the data are damaged.
        EnvironmentFault: the source can't be reached, or a function makes the data that has not run yet.
    """
    with tempfile.TemporaryDirectory(prefix="fiat-data-") as place:
        if is_spec(Path(named)):
            with open_desk(named, overrides, settings) as desk:
                yield _of_spec(desk, wanted, Path(place), freezing=freezing)
        else:
            yield _of_files(Path(named), words, Path(place))


def is_spec(path: Path) -> bool:
    """Whether a name is a spec's: a YAML file, or a folder with `spec.yaml`."""
    return path.suffix in (".yaml", ".yml") or (path / "spec.yaml").is_file()


def _of_spec(desk: Desk, wanted: str | None, place: Path, *, freezing: bool) -> Target:
    names = list(desk.loaded.spec.data)
    if wanted is None and len(names) == 1:
        wanted = names[0]
    if wanted not in names:
        said = "it has several datasets" if wanted is None else f"there is no dataset {wanted}"
        raise SpecError(f"{desk.named}: {said}", hint=f"--data with one of: {', '.join(names) or 'none'}")
    data = desk.loaded.spec.data[wanted]
    step = desk.plan.step(f"data.{wanted}")
    frozen = data.schema_
    if freezing and frozen and not (desk.root / frozen).exists():
        frozen = None  # it is what is about to be written
        params = {key: value for key, value in step.params.items() if key != "schema"}
        step = replace(step, params=params, sources=tuple(set(step.sources) - {str(data.schema_)}))
    laid = _dataset(desk, step, place / "dataset")
    check = next((step for step in desk.plan.steps if step.name == f"check.{wanted}"), None)
    slices = tuple(tuple(by) for by in _listed(check.params.get("slices"))) if check else ()
    return Target(
        title=f"{desk.loaded.spec.name}: data.{wanted}",
        folder=laid.folder,
        work_dir=place,
        slices=slices,
        declared=schema_of({"schema": frozen}, desk.root, Confinement()),
        desk=desk,
        step=step,
        digest=laid.digest,
        warnings=laid.warnings,
        label=data.label,
        environment=data.environment,
    )


@dataclass(frozen=True)
class _Laid:
    """A dataset that lies ready: its digest (empty when it was made here), and what its step warned of."""

    folder: Path
    digest: str
    warnings: tuple[str, ...]


def _dataset(desk: Desk, step: Step, folder: Path) -> _Laid:
    """The dataset of a data step: what the store has, else made here."""
    inputs: dict[str, Path] = {}
    digests: dict[str, str] = {}
    for role, ref in step.inputs.items():
        digests[role] = _made(desk, ref)
        inputs[role] = _laid(desk, digests[role], folder.with_name(f"{folder.name}-{role}"))
    decided = desk.decider.decide(step, digests, {})
    if decided.result is not None:
        digest = decided.result.outputs["dataset"].digest
        return _Laid(_laid(desk, digest, folder), digest, decided.result.warnings)
    work = folder.with_name(f"{folder.name}-work")
    work.mkdir(parents=True)
    facts = {**step.facts, "env": source_environment(desk.bench(""), step)}
    context = StepContext(step.kind, step.params, inputs, {"dataset": folder}, desk.root, work, facts)
    return _Laid(folder, "", DataStep().run(context).warnings)


def _made(desk: Desk, ref: Ref) -> str:
    """The digest of what the user's function made, from an earlier run."""
    decided = desk.decider.decide(desk.plan.step(ref.step), {}, {})
    if decided.result is None:
        raise EnvironmentFault(
            f"the data come from a function that has not run yet ({'; '.join(decided.reasons)})",
            hint=f"`fiat run {desk.named}` runs it",
        )
    return decided.result.outputs[ref.output].digest


def _laid(desk: Desk, digest: str, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    desk.store.artifacts.materialize(digest, target)
    return target


def _of_files(path: Path, words: FileWords, place: Path) -> Target:
    if not path.exists():
        raise SpecError(f"there is no {path}", hint="name a spec, a data file, or a folder of data files")
    inside = sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
    paths = inside if path.is_dir() else [path]
    if (path / "dataset.json").is_file():
        return Target(str(path), path, place)
    base = path if path.is_dir() else path.parent
    files = [SourceFile(each, each.relative_to(base).as_posix()) for each in paths]
    if not files:
        raise SpecError(f"the folder {path} holds no files")
    format_name = words.format or format_of(files)
    declared = None
    if words.schema is not None:
        try:
            declared = read_schema(words.schema.read_text("utf-8"), str(words.schema))
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"the schema {words.schema} can't be read: {error}") from None
    options = ReadOptions(format=format_name, header=words.header, delimiter=words.delimiter)
    reading = read_files(data_files(files, format_name), options)
    label = words.label or (declared.label if declared else None)
    choice = ColumnChoice(label=label if label in reading.schema.names else None)
    folder = place / "dataset"
    write_dataset(folder, reading, AllTrain(), choice, "")
    return Target(
        str(path), folder, place, declared=declared, label=choice.label, environment=words.environment
    )


def _listed(value: object) -> list[list[str]]:
    return [[str(name) for name in by] for by in value] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
