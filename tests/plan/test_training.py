"""What `train` and `tune` become: the search, and the training with what it found."""

from typing import Any

import pytest

from fiat.plan.build import Outside, build_plan
from fiat.plan.fingerprint import Surroundings, fingerprint, fingerprint_parts, resume_key
from fiat.plan.model import Checkpointing, Plan, Ref, Step
from fiat.plan.training import WARM
from fiat.spec.model import Spec

DATA = {"source": {"path": "d.csv"}, "label": "y", "split": {"train": 8, "test": 2}}
TUNE = {
    "search": {"lr": {"log": [0.001, 0.1]}, "act": ["relu", "elu"]},
    "objective": {"maximize": "accuracy"},
}
CALL = {"call": "m:train", "with": {"lr": 0.1, "act": "relu"}}


def plan(train: dict[str, Any] | None = None, tune: dict[str, Any] | None = None, **more: Any) -> Plan:
    document = {
        "fiat": 1,
        "name": "t",
        "params": {"seed": 3},
        "data": {"d": DATA},
        "train": train or CALL,
        **more,
    }
    if tune is not None:
        document["tune"] = tune
    return build_plan(Spec.model_validate(document), Outside())


def study(built: Plan) -> dict[str, Any]:
    found = built.step("tune").params["study"]
    assert isinstance(found, dict)
    return found


def test_without_a_search_the_training_stands_alone() -> None:
    assert [step.name for step in plan().steps] == ["data.d", "train", "export"]
    assert "tune" not in plan().step("train").inputs


def test_the_search_comes_before_the_training_and_hands_it_the_best() -> None:
    built = plan(tune=TUNE)
    assert [step.name for step in built.steps] == ["data.d", "tune", "train", "export"]
    assert built.step("tune").outputs == ("best", "trials")
    assert built.step("train").inputs["tune"] == Ref("tune", "best")
    assert built.step("train").outputs == ("model",)


def test_a_trial_is_the_training_in_all_but_its_parameters_and_what_it_keeps() -> None:
    tune, train = plan(tune=TUNE).step("tune"), plan(tune=TUNE).step("train")
    assert tune.inputs == {role: ref for role, ref in train.inputs.items() if role != "tune"}
    assert (tune.kind, tune.call, tune.env, tune.secrets) == (
        train.kind,
        train.call,
        train.env,
        train.secrets,
    )
    asked, trained = tune.params["request"], train.params["request"]
    assert isinstance(asked, dict)
    assert isinstance(trained, dict)
    assert asked == {**trained, "role": "trial"}
    assert tune.params["trial_outputs"] == ["model"]


def test_the_study_says_all_that_the_section_does() -> None:
    more = {"trials": 7, "parallel": 3, "stop": "asha", "sampler": "random", "timeout": "2h"}
    assert study(plan(tune={**TUNE, **more})) == {
        "space": {"lr": {"log": [0.001, 0.1]}, "act": {"choice": ["relu", "elu"]}},
        "metric": "accuracy",
        "mode": "max",
        "trials": 7,
        "parallel": 3,
        "stop": "asha",
        "sampler": "random",
        "seed": 3,
        "timeout_s": 7200.0,
        "metric_files": [],
    }
    assert study(plan(tune={**TUNE, "objective": {"minimize": "loss"}}))["mode"] == "min"


@pytest.mark.parametrize(
    ("tune", "n_trials"),
    [
        ({"search": {"a": [1, 2, 3], "b": {"int": [1, 4]}}, "sampler": "grid"}, 12),
        ({"search": {"a": [1, 2, 3], "b": {"choice": [1, 2], "when": {"a": 1}}}, "sampler": "grid"}, 4),
        ({"search": {"a": [1, 2, 3]}, "sampler": "grid", "trials": 5}, 5),
        ({"search": {"a": [1, 2, 3]}}, 10),
    ],
)
def test_a_grid_has_all_its_combinations_unless_the_spec_says_how_many(
    tune: dict[str, Any], n_trials: int
) -> None:
    assert study(plan(tune={**tune, "objective": {"maximize": "accuracy"}}))["trials"] == n_trials


def test_each_trial_keeps_to_the_limits_of_the_training() -> None:
    train = {**CALL, "timeout": "5m", "resources": {"gpus": 0.25, "cpus": 2}, "checkpoint": {"every": "1m"}}
    built = plan(train, TUNE)
    assert built.step("tune").limits == built.step("train").limits
    assert built.step("tune").limits.timeout_s == 300.0
    assert built.step("tune").limits.checkpoint == Checkpointing(every_s=60.0)


def test_a_command_is_searched_for_too_with_its_metrics_files() -> None:
    run = {
        "run": "python t.py {data.d} {out.model} {out.scores}",
        "with": {"lr": 1},
        "out": {"model": "model", "scores": "metrics"},
    }
    tune, train = plan(run, TUNE).step("tune"), plan(run, TUNE).step("train")
    assert tune.params["run"] == train.params["run"]
    assert tune.params["trial_outputs"] == ["model", "scores"]
    assert study(plan(run, TUNE))["metric_files"] == ["scores"]
    assert "metric_outputs" not in tune.params
    assert train.params["metric_outputs"] == ["scores"]


def key_of(step: Step) -> str:
    return resume_key(fingerprint_parts(step, Surroundings()))


def print_of(step: Step) -> str:
    return fingerprint(fingerprint_parts(step, Surroundings()))


@pytest.mark.parametrize("change", [{"trials": 20}, {"parallel": 4}, {"timeout": "1h"}])
def test_a_longer_search_is_other_work_that_knows_the_same_trials(change: dict[str, Any]) -> None:
    before, after = plan(tune=TUNE).step("tune"), plan(tune={**TUNE, **change}).step("tune")
    assert print_of(before) != print_of(after)
    assert key_of(before) == key_of(after)


@pytest.mark.parametrize(
    "change",
    [
        {"search": {"lr": {"log": [0.001, 0.2]}, "act": ["relu", "elu"]}},
        {"objective": {"minimize": "accuracy"}},
        {"stop": "asha"},
        {"sampler": "random"},
    ],
)
def test_another_question_knows_no_trial(change: dict[str, Any]) -> None:
    assert key_of(plan(tune=TUNE).step("tune")) != key_of(plan(tune={**TUNE, **change}).step("tune"))


@pytest.mark.parametrize(
    "around",
    [
        Surroundings(code={"m.py": "b"}, inputs={"data.d": "a"}, packages={"torch": "2"}),
        Surroundings(code={"m.py": "a"}, inputs={"data.d": "b"}, packages={"torch": "2"}),
        Surroundings(code={"m.py": "a"}, inputs={"data.d": "a"}, packages={"torch": "3"}),
    ],
)
def test_other_code_data_or_packages_know_no_trial(around: Surroundings) -> None:
    before = Surroundings(code={"m.py": "a"}, inputs={"data.d": "a"}, packages={"torch": "2"})
    step = plan(tune=TUNE).step("tune")
    assert resume_key(fingerprint_parts(step, before)) != resume_key(fingerprint_parts(step, around))


def test_another_seed_knows_no_trial() -> None:
    assert key_of(plan(tune=TUNE).step("tune")) != key_of(plan(tune=TUNE, params={"seed": 4}).step("tune"))


def test_the_training_is_other_work_when_the_best_is_another() -> None:
    step = plan(tune=TUNE).step("train")
    one, two = (
        fingerprint(fingerprint_parts(step, Surroundings(inputs={"tune": digest}))) for digest in ("a", "b")
    )
    assert one != two


def test_checkpoints_are_kept_as_the_section_says() -> None:
    assert plan().step("train").limits.checkpoint is None
    checkpoint = {"keep": 3, "every": "10m", "best": {"minimize": "loss"}}
    limits = plan({**CALL, "checkpoint": checkpoint}).step("train").limits
    assert limits.checkpoint == Checkpointing(3, 600.0, "loss", "min")
    assert limits.stop_on_nan
    assert not plan({**CALL, "stop_on_nan": False}).step("train").limits.stop_on_nan


def test_a_warm_start_reads_the_baseline_if_there_is_one() -> None:
    built = plan({**CALL, "warm_start": "baseline"}, TUNE, baseline={"from": "main"}).step("train")
    assert built.inputs["warm"] == WARM
    assert "warm" in built.optional


def test_determinism_is_part_of_what_the_work_is() -> None:
    plain, exact = plan().step("train"), plan({**CALL, "deterministic": True}).step("train")
    assert exact.params["deterministic"] is True
    assert print_of(plain) != print_of(exact)
