"""What gates are told of what a training logged."""

from collections.abc import Mapping
from typing import Any

import pytest

from fiat.engine.decide import Decided
from fiat.engine.walk import Walk
from fiat.plan.model import Plan, Step
from fiat.run.model import Metric, Result, StepResult

LOGGED = (Metric("f1", 0.5), Metric("f1", 0.4, step=3), Metric("samples_per_s", 812.0))


class Hearing:
    """Decides that everything runs, and remembers what each step was told."""

    def __init__(self) -> None:
        self.told: dict[str, Mapping[str, float]] = {}

    def decide(self, step: Step, inputs: Mapping[str, str], logged: Mapping[str, float]) -> Decided:
        self.told[step.name] = logged
        return Decided(step, inputs, {}, step.name, None, ("no earlier result",))


@pytest.mark.parametrize(
    ("metric", "told"), [("f1", {"f1": 0.5}), ("samples_per_s", {"f1": 0.5, "samples_per_s": 812.0})]
)
def test_gates_are_told_the_throughput_only_when_one_judges_it(metric: str, told: dict[str, float]) -> None:
    train = Step("train", "call")
    gates = Step("gates", "gates", {"gates": [{"size": {"max": 1}}, {"metric": metric}]}, after=("train",))
    hearing: Any = Hearing()
    walk = Walk(
        Plan("s", ".", "", (train, gates)), hearing, lambda _: pytest.fail("no baseline"), lambda _: None
    )
    assert [decided.step.name for decided in walk.advance()] == ["train"]
    result = Result("train", "train", "s", "r", {}, {}, metrics=LOGGED)
    walk.settle(StepResult("train", "call", "ran"), result)
    assert [decided.step.name for decided in walk.advance()] == ["gates"]
    assert hearing.told["gates"] == told
