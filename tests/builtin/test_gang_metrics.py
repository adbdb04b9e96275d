"""The series of several workers as one."""

import math

from fiat.builtin.gang_metrics import mean_metrics
from fiat.run.model import Metric


def loss(value: float, step: int | None) -> Metric:
    return Metric("loss", value, step)


def test_values_of_one_name_and_step_are_averaged_in_the_first_workers_order() -> None:
    first = [loss(1.0, 0), Metric("accuracy", 0.5, 0), loss(0.5, 1)]
    second = [Metric("accuracy", 0.7, 0), loss(3.0, 0), loss(0.7, 1)]
    assert mean_metrics([first, second]) == (loss(2.0, 0), Metric("accuracy", 0.6, 0), loss(0.6, 1))


def test_who_did_not_log_a_value_does_not_count() -> None:
    assert mean_metrics([[loss(1.0, 0)], [], [loss(2.0, 0), loss(9.0, 5)]]) == (loss(1.5, 0), loss(9.0, 5))


def test_values_at_other_steps_than_the_first_workers_come_where_their_steps_are() -> None:
    first = [loss(1.0, 0), Metric("accuracy", 0.5, 9), loss(4.0, 20), loss(7.0, None)]
    assert mean_metrics([first, [loss(2.0, 10), loss(3.0, 30)]]) == (
        loss(1.0, 0),
        Metric("accuracy", 0.5, 9),
        loss(2.0, 10),
        loss(7.0, None),
        loss(4.0, 20),
        loss(3.0, 30),
    )


def test_a_value_that_is_logged_again_meets_the_others_of_its_turn() -> None:
    assert mean_metrics([[loss(1.0, None), loss(2.0, None)], [loss(3.0, None), loss(6.0, None)]]) == (
        loss(2.0, None),
        loss(4.0, None),
    )


def test_one_workers_loss_that_is_no_number_is_everybodys() -> None:
    (found,) = mean_metrics([[loss(1.0, 0)], [loss(math.nan, 0)]])
    assert math.isnan(found.value)
