"""From a spec to the graph."""

import pytest

from fiat.errors import SpecError
from fiat.plan.build import Outside, build_plan
from fiat.plan.model import Plan, Ref
from fiat.spec.model import Spec

DATA = {"source": {"path": "d.csv"}, "label": "y", "split": {"train": 8, "test": 2}}
FULL = {
    "fiat": 1,
    "name": "t",
    "params": {"seed": 3, "lr": 0.1},
    "data": {"d": DATA},
    "steps": {"clean": {"run": "sort {data.d} > {out.rows}", "out": {"rows": "file"}, "metrics": ["lost"]}},
    "train": {"call": "m:train", "with": {"table": "{clean.rows}"}},
    "evaluate": {"metrics": ["accuracy", {"call": "m:cost"}]},
    "baseline": {"from": "main"},
    "gates": [{"metric": "accuracy", "min": 0.9}, {"call": "m:fair"}, {"metric": "lost", "max": 0}],
    "model": {"card": "CARD.md"},
    "deploy": {"shelf": {"to": "directory", "path": "models", "when": {"branch": "main"}}},
}


def plan(**changes: object) -> Plan:
    document = {key: value for key, value in {**FULL, **changes}.items() if value is not None}
    return build_plan(Spec.model_validate(document), Outside(facts={"commit": "c0ffee"}))


def test_every_section_becomes_its_steps_in_walking_order() -> None:
    names = [step.name for step in plan().steps]
    assert sorted(names) == sorted(
        [
            "data.d",
            "clean",
            "train",
            "export",
            "evaluate",
            "evaluate.baseline",
            "metric.cost",
            "gates.1",
            "gates",
            "package",
            "deploy.shelf",
        ]
    )
    for step in plan().steps:
        before = names[: names.index(step.name)]
        assert all(ref.step in before or ref.step == "@baseline" for ref in step.inputs.values()), step.name
        assert all(name in before for name in step.after), step.name


def test_steps_are_wired_by_names() -> None:
    built = plan()
    assert built.step("clean").inputs == {"data.d": Ref("data.d", "dataset")}
    assert built.step("train").inputs == {
        "data.d": Ref("data.d", "dataset"),
        "clean.rows": Ref("clean", "rows"),
    }
    assert built.step("gates").after == ("train", "clean")
    assert "baseline" in built.step("gates").optional


def test_probes_come_behind_the_package_and_before_every_deploy() -> None:
    gates = [{"probe": {"p95_ms": 5, "clients": 2}, "severity": "warn"}, {"metric": "accuracy", "min": 0.9}]
    built = plan(gates=gates)
    probe = built.step("gates.0")
    assert probe.kind == "probe"
    assert probe.params == {"probe": {"p95_ms": 5, "clients": 2}, "severity": "warn", "key": "gates[0]"}
    assert probe.inputs == {
        "package": Ref("package", "package"),
        "evaluation": Ref("evaluate", "evaluation"),
        "dataset": Ref("data.d", "dataset"),
    }
    assert built.step("deploy.shelf").after == ("gates.0",)
    judged = built.step("gates").params["gates"]
    assert [gate["key"] for gate in judged] == ["gates[1]"]  # type: ignore[attr-defined, index]
    assert "gate.0" not in built.step("gates").inputs


def test_a_package_describes_rows_by_their_check_or_else_by_themselves() -> None:
    assert plan().step("package").inputs["dataset"] == Ref("data.d", "dataset")
    checked = plan(data={"d": {**DATA, "checks": [{"duplicates": {"across": "error"}}]}})
    assert checked.step("package").inputs["profile"] == Ref("check.d", "profile")
    assert "dataset" not in checked.step("package").inputs


def test_a_spec_of_steps_alone_is_a_spec() -> None:
    nothing = dict.fromkeys(("data", "train", "evaluate", "baseline", "gates", "model", "deploy"))
    built = plan(**nothing, steps={"a": {"run": "true"}})
    assert [step.name for step in built.steps] == ["a"]


def test_the_commit_is_told_to_steps_and_is_not_in_the_plans_digest() -> None:
    spec = Spec.model_validate(FULL)
    one = build_plan(spec, Outside(facts={"commit": "1"}))
    two = build_plan(spec, Outside(facts={"commit": "2"}))
    assert one.digest == two.digest
    assert one.step("package").facts["commit"] == "1"


def test_with_narrows_what_parameters_a_step_is_given() -> None:
    built = plan(
        steps={
            "all": {"call": "m:a"},
            "none": {"call": "m:a", "with": {}},
            "some": {"call": "m:a", "with": {"lr": 0.5}},
        },
        gates=None,
        train={"call": "m:train"},
    )
    given = {name: built.step(name).params["request"]["params"] for name in ("all", "none", "some")}
    assert given == {"all": {"seed": 3, "lr": 0.1}, "none": {}, "some": {"lr": 0.5}}


def test_asking_for_cores_limits_threads_and_is_part_of_the_environment() -> None:
    built = plan(train={"call": "m:train", "resources": {"cpus": 2}}, steps=None, gates=None)
    assert built.step("train").env["OMP_NUM_THREADS"] == "2"
    assert built.step("train").limits.cpus == 2
    assert "OMP_NUM_THREADS" not in plan().step("train").env


@pytest.mark.parametrize("split", [None, {"train": 8, "eval": 2}])
def test_a_split_without_rows_to_judge_by_is_refused_at_once(split: object) -> None:
    data = {key: value for key, value in {**DATA, "split": split}.items() if value}
    with pytest.raises(SpecError, match="gives it no rows") as caught:
        plan(data={"d": data})
    assert "test: 2" in caught.value.hint


def test_several_datasets_need_to_say_which_one_judges() -> None:
    with pytest.raises(SpecError, match="several datasets"):
        plan(data={"d": DATA, "e": DATA}, steps=None, gates=None, train={"call": "m:train"})
    built = plan(
        data={"d": DATA, "e": DATA},
        steps=None,
        gates=None,
        train={"call": "m:train"},
        evaluate={"data": "e", "metrics": ["accuracy"]},
    )
    assert built.step("evaluate").inputs["dataset"] == Ref("data.e", "dataset")
    assert set(built.step("train").inputs) == {"data.d", "data.e"}
