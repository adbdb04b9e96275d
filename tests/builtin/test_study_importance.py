import math
import random
from collections.abc import Mapping

from fiat.builtin.study_importance import importance
from fiat.builtin.study_record import Trial


def trials(*pairs: tuple[Mapping[str, object], float]) -> list[Trial]:
    return [Trial(number, params, "done", value, 1.0, ()) for number, (params, value) in enumerate(pairs, 1)]


def test_what_decides_has_all_and_what_does_not_next_to_nothing() -> None:
    draw = random.Random(4)
    made = trials(
        *(
            ({"kind": kind, "noise": draw.random()}, 10.0 * (kind == "a") + draw.random() / 1e9)
            for kind in "ab" * 20
        )
    )
    found = importance(made)
    assert list(found) == ["kind", "noise"]
    assert 0.7 < found["kind"] <= 1.0
    assert found["noise"] < 0.1


def test_a_number_may_matter_along_or_in_the_middle() -> None:
    steps = [place / 30 for place in range(30)]
    along = importance(trials(*(({"lr": step}, step**3) for step in steps)))
    middle = importance(trials(*(({"lr": step}, -abs(step - 0.5)) for step in steps)))
    assert along["lr"] > 0.99
    assert middle["lr"] > 0.5


def test_chance_is_taken_off() -> None:
    draw = random.Random(7)
    shares = [
        importance(
            trials(*(({"x": draw.random(), "k": draw.choice("abcd")}, draw.random()) for _ in range(12)))
        )
        for _ in range(100)
    ]
    assert sum(share["k"] for share in shares) / 100 < 0.15
    assert sum(share["x"] for share in shares) / 100 < 0.15


def test_a_parameter_is_judged_among_the_trials_that_have_it() -> None:
    made = trials(
        *(({"kind": "flat"}, 0.0) for _ in range(10)),
        *(({"kind": "deep", "width": width}, float(width)) for width in range(1, 11)),
    )
    found = importance(made)
    assert found["width"] > 0.99
    assert 0.5 < found["kind"] < 1.0


def test_too_few_trials_one_value_and_no_value_say_nothing() -> None:
    assert importance([]) == {}
    assert importance(trials(({"a": 1}, 1.0), ({"a": 2}, 2.0), ({"a": 3}, 3.0))) == {}
    assert importance(trials(*(({"a": 1}, float(value)) for value in range(9)))) == {}
    assert importance(trials(*(({"a": value}, math.nan) for value in range(9)))) == {}
    assert importance(trials(*(({"a": value}, 1.0) for value in range(9)))) == {"a": 0.0}


def test_values_of_any_kind_are_compared() -> None:
    mixed = [True, 1, None, [1, 2], {"name": "elu"}] * 4
    found = importance(trials(*(({"a": value}, float(place % 5)) for place, value in enumerate(mixed))))
    assert found["a"] > 0.9
