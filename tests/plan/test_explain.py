"""Why a step runs, in words."""

from fiat.plan.explain import changes


def test_equal_parts_say_nothing() -> None:
    assert changes({"code": {"a.py": "1"}}, {"code": {"a.py": "1"}}) == ()


def test_a_changed_file_is_named_without_its_digest() -> None:
    assert changes({"code": {"fashion/model.py": "1"}}, {"code": {"fashion/model.py": "2"}}) == (
        "code: fashion/model.py changed",
    )


def test_a_changed_parameter_shows_both_values() -> None:
    old, new = {"params": {"with": {"lr": 0.1}}}, {"params": {"with": {"lr": 0.2}}}
    assert changes(old, new) == ("params: lr 0.1 -> 0.2",)


def test_added_and_removed_keys_are_told_apart() -> None:
    old = {"env": {"A": "1"}, "sources": {"x.csv": "d"}}
    new = {"env": {"B": "2"}, "sources": {}}
    assert changes(old, new) == ("data: x.csv removed", "env: A removed", "env: B added (2)")


def test_a_version_of_a_package_shows_both() -> None:
    assert changes({"packages": {"torch": "2.12.0"}}, {"packages": {"torch": "2.13.0"}}) == (
        "packages: torch 2.12.0 -> 2.13.0",
    )


def test_another_interpreter_is_told() -> None:
    assert changes({"python": "CPython 3.11.7"}, {"python": "CPython 3.12.1"}) == (
        "python: CPython 3.11.7 -> CPython 3.12.1",
    )


def test_a_changed_input_is_told_once_and_not_as_a_changed_command() -> None:
    one, two = "0" * 32, "1" * 32
    old = {"params": {"run": f"sort {{={one}}}"}, "inputs": {"raw.rows": one}}
    new = {"params": {"run": f"sort {{={two}}}"}, "inputs": {"raw.rows": two}}
    assert changes(old, new) == ("input: raw.rows changed",)


def test_inputs_that_change_places_in_a_command_are_told() -> None:
    one, two = "0" * 32, "1" * 32
    inputs = {"a.o": one, "b.o": two}
    old = {"params": {"run": f"join {{={one}}} {{={two}}}"}, "inputs": inputs}
    new = {"params": {"run": f"join {{={two}}} {{={one}}}"}, "inputs": inputs}
    assert changes(old, new) == ("params: run changed",)
