"""A node with other versions would make results that are remembered under the wrong name."""

import copy

import pytest

from fiat.builtin.ray_travel_build import DISTRIBUTION, build_here, check_build
from fiat.errors import EnvironmentFault


def test_this_machine_is_like_itself_and_names_what_it_has() -> None:
    here = build_here()
    check_build(here, build_here(), user_code=True)
    assert "numpy" in here["packages"]
    assert "pip" not in here["packages"]


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("fiat", DISTRIBUTION, "has Fiat 0.0.1 instead of"),
        ("python", "CPython", "has CPython 0.0.1 instead of"),
        ("packages", "numpy", "has numpy 0.0.1 instead of"),
    ],
)
def test_what_is_unlike_is_named_with_the_next_step(kind: str, name: str, said: str) -> None:
    ours = copy.deepcopy(build_here())
    ours[kind][name] = "0.0.1"
    with pytest.raises(EnvironmentFault, match=said) as caught:
        check_build(build_here(), ours, user_code=True)
    assert "install the same" in caught.value.hint


def test_a_step_of_our_own_depends_on_fiat_alone() -> None:
    ours = copy.deepcopy(build_here())
    ours["packages"]["numpy"] = ours["python"]["CPython"] = "0.0.1"
    check_build(build_here(), ours, user_code=False)


def test_many_differences_are_counted_and_packages_of_one_side_do_not_matter() -> None:
    theirs = {**build_here(), "packages": dict.fromkeys("abcde", "1")}
    ours = {**build_here(), "packages": dict.fromkeys("abcdx", "2")}
    with pytest.raises(
        EnvironmentFault, match="a 2 instead of 1, b 2 instead of 1, c 2 instead of 1 and 1 more"
    ):
        check_build(theirs, ours, user_code=True)
