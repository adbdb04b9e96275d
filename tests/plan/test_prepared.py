"""From data, checks and transforms to steps."""

from typing import Any

from fiat.plan.build import Outside, build_plan
from fiat.plan.model import Plan, Ref
from fiat.spec.model import Spec

DATA = {"source": {"path": "d.csv"}, "label": "y", "split": {"train": 8, "test": 2}}
APPLY = [{"columns": ["age"], "apply": [{"impute": "median"}, "standardize"]}]


def plan(data: dict[str, Any], **more: Any) -> Plan:
    document = {"fiat": 1, "name": "t", "data": data, **more}
    return build_plan(Spec.model_validate(document), Outside())


def names(built: Plan) -> list[str]:
    return [step.name for step in built.steps]


def test_a_dataset_is_checked_only_where_the_spec_asks_for_it() -> None:
    assert names(plan({"d": DATA})) == ["data.d"]
    assert names(plan({"d": {**DATA, "checks": [{"rows": {"min": 1}}]}})) == ["data.d", "check.d"]
    built = plan({"d": {**DATA, "schema": "s.yaml"}})
    assert names(built) == ["data.d", "check.d"]
    assert built.step("check.d").sources == ("s.yaml",)
    assert "s.yaml" in built.step("data.d").sources  # it says how cells are read


def test_another_check_reads_no_data_again() -> None:
    few, many = ({"d": {**DATA, "checks": [{"rows": {"min": least}}]}} for least in (1, 2))
    assert plan(few).step("data.d").params == plan(many).step("data.d").params
    assert plan(few).step("check.d").params != plan(many).step("check.d").params


def test_whatever_reads_the_data_waits_for_their_checks_and_is_no_other_work_for_it() -> None:
    more = {
        "steps": {"clean": {"run": "sort {data.d} > {out.rows}", "out": {"rows": "file"}}},
        "transform": APPLY,
        "train": {"call": "m:train"},
        "evaluate": {},
    }
    checked = plan({"d": {**DATA, "checks": [{"rows": {"min": 1}}]}}, **more)
    for name in ("clean", "transform", "export", "evaluate"):
        assert checked.step(name).after == ("check.d",), name
    assert checked.step("train").inputs["data.d"] == Ref("transform", "dataset")
    bare = plan({"d": DATA}, **more)
    assert [step.params for step in bare.steps] == [
        step.params for step in checked.steps if step.kind != "check"
    ]


def test_a_check_is_given_what_it_compares_with() -> None:
    drift = {"drift": {"against": "previous", "max": 0.1}}
    data = {
        "d": {**DATA, "checks": [drift, {"skew": {"against": "data.live", "max": 0.1}}]},
        "live": {"source": {"path": "live.csv"}},
        "old": {
            "source": {"path": "old.csv"},
            "checks": [{"rows": {"change": {"against": "data.d", "max_ratio": 1}}}],
        },
    }
    built = plan(data)
    assert built.step("check.d").inputs == {
        "dataset": Ref("data.d", "dataset"),
        "previous": Ref("@previous", "profile"),
        "data.live": Ref("data.live", "dataset"),
    }
    assert built.step("check.d").optional == ("previous",)
    assert "is_logged" not in built.step("check.d").params
    assert built.step("check.old").inputs["data.d"] == Ref("check.d", "profile")
    assert names(built).index("check.d") < names(built).index("check.old")


def test_the_served_graph_is_made_of_the_raw_data_and_the_transforms() -> None:
    built = plan({"d": DATA}, transform=APPLY, train={"run": "python t.py {data.d} {out.model}"}, evaluate={})
    assert built.step("transform").inputs == {"dataset": Ref("data.d", "dataset")}
    assert built.step("transform").outputs == ("dataset", "transform")
    assert built.step("train").inputs == {"data.d": Ref("transform", "dataset")}
    assert built.step("export").inputs == {
        "model": Ref("train", "model"),
        "data.d": Ref("data.d", "dataset"),
        "transform": Ref("transform", "transform"),
    }
    assert built.step("evaluate").inputs["dataset"] == Ref("data.d", "dataset")


def test_a_graph_of_the_users_own_is_a_step_of_its_own() -> None:
    entries = [*APPLY, {"columns": ["text"], "call": "m:graph", "with": {"width": 3}}]
    built = plan({"d": DATA}, transform=entries, train={"call": "m:train"}, evaluate={})
    call = built.step("transform.1")
    assert (call.kind, call.call, call.outputs) == ("call", "m:graph", ("graph",))
    assert call.inputs == {"data.d": Ref("data.d", "dataset")}
    request = call.params["request"]
    assert isinstance(request, dict)
    assert (request["role"], request["columns"], request["params"]) == ("transform", ["text"], {"width": 3})
    transform = built.step("transform")
    assert transform.inputs["graph.1"] == Ref("transform.1", "graph")
    assert transform.params["transform"] == [
        {
            "columns": ["age"],
            "apply": [{"impute": {"by": "median", "flag": False}}, {"standardize": True}],
            "key": "transform[0]",
        },
        {"columns": ["text"], "graph": "graph.1", "key": "transform[1]"},
    ]


def test_data_that_a_function_makes_come_from_a_step_before() -> None:
    built = plan({"d": {"source": {"call": "m:load", "with": {"n": 5}}, "label": "y"}}, params={"seed": 4})
    assert names(built) == ["source.d", "data.d"]
    request = built.step("source.d").params["request"]
    assert isinstance(request, dict)
    assert (request["role"], request["params"], request["seed"]) == ("source", {"n": 5}, 4)
    assert built.step("data.d").inputs == {"source": Ref("source.d", "data")}


def test_a_source_is_given_the_secrets_of_its_kind_only() -> None:
    env = {"secrets": ["DB", "AWS_SECRET_ACCESS_KEY", "HUB_TOKEN"]}
    sql = {"source": {"sql": "select 1", "connection": "DB"}}
    bucket, local = {"source": {"s3": "b/k.csv"}}, {"source": {"path": "d.csv"}}
    built = plan({"sql": sql, "bucket": bucket, "local": local}, env=env)
    assert built.step("data.sql").secrets == ("DB",)
    assert built.step("data.bucket").secrets == ("AWS_SECRET_ACCESS_KEY",)
    assert built.step("data.local").secrets == ()
    assert built.step("data.sql").volatile
    assert built.step("data.bucket").volatile


def test_spans_are_found_by_their_pattern() -> None:
    span = {"pattern": "data/{YYYY}-{MM}/{DD}.csv", "use": {"last": 2}}
    assert plan({"d": {"span": span}}).step("data.d").sources == ("data/*-*/*.csv",)
    inside = {"source": {"path": "raw"}, "span": {"pattern": "{SPAN}.csv", "use": "latest"}}
    assert plan({"d": inside}).step("data.d").sources == ("raw/*.csv",)


def test_slices_of_the_evaluation_are_described_for_the_data_that_is_judged() -> None:
    checked = {**DATA, "checks": [{"rows": {"min": 1}}]}
    evaluate = {"slices": ["sex", ["sex", "age"]], "data": "d"}
    built = plan({"d": checked, "other": checked}, train={"call": "m:t", "data": "d"}, evaluate=evaluate)
    assert built.step("check.d").params["slices"] == [["sex"], ["sex", "age"]]
    assert built.step("check.other").params["slices"] == []


def test_a_check_against_what_is_served_is_given_it_where_there_is_any() -> None:
    data = {"d": {**DATA, "checks": [{"skew": {"against": "serving", "max": 0.1}}]}}
    silent = plan(data).step("check.d")
    assert silent.inputs["serving"] == Ref("@serving", "profile")
    assert "serving" in silent.optional
    assert silent.params["is_logged"] is False
    logged = plan(data, monitor={"log": {"redact": ["name"]}}).step("check.d")
    assert (logged.params["is_logged"], logged.params["redacted"]) == (True, ["name"])
