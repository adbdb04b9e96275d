"""Step `check`: describe a dataset, hold it against its schema and rules, say what does not hold and where."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

from fiat.builtin.check_rules import rules_of
from fiat.builtin.step_data_schema import schema_of
from fiat.data.dataset import Dataset, open_dataset
from fiat.plan.prepared import COMPARED_WITH, SERVED
from fiat.ports.confinement import Confinement
from fiat.ports.step import StepContext, StepOutcome
from fiat.profile.document import FILE as PROFILE
from fiat.profile.document import read_profile, write_profile
from fiat.profile.measure import profile_dataset
from fiat.profile.model import DataProfile
from fiat.run.model import GateResult
from fiat.validate.check import find_anomalies
from fiat.validate.findings_file import sentence, write_findings
from fiat.validate.infer import infer_schema
from fiat.validate.model import Anomaly, ColumnSchema, Findings, Schema
from fiat.validate.schema_write import write_schema

SCHEMA = "schema.yaml"
_SHOWN = 50
_MOST_NAMED = 8
_LABEL_WORD = "label"


class CheckStep:
    """Describes and checks a dataset.

    Inputs: `dataset`; `previous`, `serving` and `data.<name>`: folders of profiles, or of datasets, to compare with. Output:
    `profile`, a folder with `profile.json`, `findings.json` and `schema.yaml` (the schema that was checked: the
    spec's, or one inferred from the train split). Anomalies are no failure of this step: its fact `refused` says in
    one sentence that there are errors, and nothing that reads the dataset runs then.
    """

    name = "check"
    version = "1"
    packages = ("duckdb", "numpy", "polars", "pyarrow", "scikit-learn", "scipy")

    def run(self, context: StepContext, say: Callable[[str], None] = print) -> StepOutcome:
        """Describe, check, and write what was found.

        Args:
            context: see `StepKind`.
            say: is given a line for each anomaly, for the step's log.

        Raises:
            SpecError: the schema is wrong, or a rule does not fit the data.
            EnvironmentFault: a file is damaged.
        """
        params = cast(Mapping[str, Any], context.params)
        folder = context.inputs["dataset"]
        dataset = open_dataset(folder)
        profile = profile_dataset(folder, slices=_slices(params, dataset))
        others = {
            role: _read_other(path, dataset)
            for role, path in context.inputs.items()
            if role in (COMPARED_WITH, SERVED) or role.startswith("data.")
        }
        declared = schema_of(params, context.root, Confinement.of(context.facts))
        schema = with_derived(declared or infer_schema(profile), params.get("derived") or ())
        findings = find_anomalies(
            folder,
            profile,
            schema if declared else as_guessed(schema),
            rules_of(params.get("checks") or (), params.get("unseen") or (), _unsent(params, dataset)),
            others,
            environment=str(params.get("environment") or "training"),
        )
        target = context.outputs["profile"]
        target.mkdir()
        write_profile(target, profile)
        write_findings(target, findings)
        (target / SCHEMA).write_text(write_schema(schema), "utf-8")
        for anomaly in findings.anomalies:
            say(f"{anomaly.severity}: {sentence(anomaly)}")
        lack = unserved_words(context)
        if lack:
            say(lack)
        return StepOutcome(facts=_facts(str(params["name"]), profile, findings, lack))


def unserved_words(context: StepContext) -> str:
    """Why a check asks for what is served and there is nothing; empty when there is, or none asks."""
    if SERVED in context.inputs or "is_logged" not in context.params:
        return ""
    if context.facts.get("sees_served") is False:
        return "what is served is not compared with data that strangers change"
    if not context.params["is_logged"]:
        return "nothing to compare with is served: the log of requests is off without `monitor`"
    return "nothing was served yet to compare with, or fewer than 100 requests"


def _unsent(params: Mapping[str, Any], dataset: Dataset) -> tuple[str, ...]:
    """Columns that are no features, or that the log leaves out."""
    others = (name for name in dataset.train.table().column_names if name not in dataset.feature_names)
    return (*others, *(params.get("redacted") or ()))


def _slices(params: Mapping[str, Any], dataset: Dataset) -> tuple[tuple[str, ...], ...]:
    """Slices whose columns the dataset has; `label` stands for its label."""
    names = set(dataset.train.table().column_names)
    found = []
    for by in params.get("slices") or ():
        columns = tuple(
            str(dataset.label) if name == _LABEL_WORD and name not in names else name for name in by
        )
        if set(columns) <= names:
            found.append(columns)
    return tuple(dict.fromkeys(found))


def _read_other(path: Path, dataset: Dataset) -> DataProfile:
    """A profile that another check wrote, or that of a dataset without checks."""
    return read_profile(path) if (path / PROFILE).exists() else profile_dataset(path)


def as_guessed(schema: Schema) -> Schema:
    """An inferred schema as what it is: nobody has said that the other splits must be like train, so it only warns."""
    return replace(schema, columns=tuple(replace(column, severity="warn") for column in schema.columns))


def with_derived(schema: Schema, derived: Sequence[str]) -> Schema:
    """The schema with the columns that the spec derives: they are nobody's surprise."""
    known = {column.name for column in schema.columns}
    more = tuple(ColumnSchema(str(name), required=False) for name in derived if name not in known)
    return replace(schema, columns=schema.columns + more)


def _facts(name: str, profile: DataProfile, findings: Findings, lack: str) -> dict[str, object]:
    whole = [item for item in profile.profiles if not item.slice]
    n_columns = len(whole[0].columns) if whole else 0
    gate = _gate(name, n_columns, sum(item.n_rows for item in whole), findings)
    gate = replace(gate, reason=f"{gate.reason}; {lack}") if lack else gate
    return {
        "rows": {item.split: item.n_rows for item in whole},
        "n_columns": n_columns,
        "anomalies": [asdict(item) for item in findings.anomalies[:_SHOWN]],
        "n_anomalies": len(findings.anomalies),
        "compared": dict(findings.compared),
        "gate": asdict(gate),
        **({"refused": gate.reason} if gate.state == "fail" else {}),
    }


def _gate(name: str, n_columns: int, n_rows: int, findings: Findings) -> GateResult:
    """What a check says among the gates."""
    said, n_errors = findings.anomalies, len(findings.errors)
    if not said:
        return GateResult(
            f"data {name}",
            "pass",
            f"{n_rows:,} rows and {n_columns} columns are as they must be",
            key=f"data.{name}",
        )
    words = [_count(n_errors, "error")] if n_errors else []
    words += [_count(len(said) - n_errors, "warning")] if len(said) > n_errors else []
    reason = f"{' and '.join(words)}: {_first(said)}"
    return GateResult(
        f"data {name}", "fail" if n_errors else "warn", reason, key=said[0].key or f"data.{name}"
    )


def _first(anomalies: Sequence[Anomaly]) -> str:
    """The first one in full, the others by their columns."""
    others = list(dict.fromkeys(item.column or item.kind for item in anomalies[1:]))
    more = f", ... ({len(others)} in all)" if len(others) > _MOST_NAMED else ""
    tail = f"; also {', '.join(others[:_MOST_NAMED])}{more}" if others else ""
    return sentence(anomalies[0]) + tail


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
