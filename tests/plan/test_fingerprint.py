"""What is in a fingerprint, and what is not."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fiat.plan.fingerprint import Surroundings, fingerprint, fingerprint_parts
from fiat.plan.model import Limits, Step

STEP = Step(
    "clean", "run", params={"run": "sort {raw.rows} > {out.rows}", "with": {"size": 1}}, outputs=("rows",)
)
AROUND = Surroundings(
    inputs={"raw.rows": "abc"}, code={"a.py": "1"}, python="CPython", packages={"numpy": "2"}
)


def of(step: Step, around: Surroundings = AROUND) -> str:
    return fingerprint(fingerprint_parts(step, around))


def test_name_limits_and_facts_are_not_in_it() -> None:
    other = replace(
        STEP, name="tidy", limits=Limits(cpus=4, retries=3), facts={"commit": "1"}, key="steps.tidy"
    )
    assert of(other) == of(STEP)


def test_what_uses_a_grant_is_the_work_of_the_repository_that_has_it() -> None:
    ours, theirs = {"granted_to": "acme/a"}, {"granted_to": "acme/b"}
    assert of(replace(STEP, facts=ours)) == of(replace(STEP, facts=theirs)) == of(STEP)
    for step in (replace(STEP, network=True), replace(STEP, secrets=("TOKEN",))):
        assert len({of(replace(step, facts=ours)), of(replace(step, facts=theirs)), of(step)}) == 3


def test_every_parameter_is_in_it_whatever_its_name() -> None:
    for name in ("size", "nfiles", "md5", "path", "hash", "isexec"):
        one = replace(STEP, params={**STEP.params, "with": {name: 1}})
        two = replace(STEP, params={**STEP.params, "with": {name: 2}})
        assert of(one) != of(two), name


def test_the_order_of_keys_does_not_matter() -> None:
    forward = replace(STEP, params={"with": {"a": 1, "b": 2}}, env={"X": "1", "Y": "2"})
    backward = replace(STEP, params={"with": {"b": 2, "a": 1}}, env={"Y": "2", "X": "1"})
    assert of(forward) == of(backward)


def test_each_part_changes_it() -> None:
    base = of(STEP)
    assert of(replace(STEP, env={"A": "1"})) != base
    assert of(replace(STEP, call="m:one")) != of(replace(STEP, call="m:two"))
    assert of(replace(STEP, secrets=("TOKEN",))) != base
    assert of(replace(STEP, outputs=("rows", "more"))) != base
    assert of(replace(STEP, plugin={"version": "2"})) != base
    for change in (
        {"inputs": {"raw.rows": "abd"}},
        {"code": {"a.py": "2"}},
        {"code": {"b.py": "1"}},
        {"sources": {"x.csv": "1"}},
        {"python": "PyPy"},
        {"packages": {"numpy": "3"}},
        {"logged": {"loss": 0.1}},
    ):
        assert of(STEP, replace(AROUND, **change)) != base, change


def test_a_renamed_producer_changes_the_command_only_by_what_the_code_can_see() -> None:
    renamed = replace(STEP, params={**STEP.params, "run": "sort {fresh.rows} > {out.rows}"})
    around = replace(AROUND, inputs={"fresh.rows": "abc"})
    old, new = fingerprint_parts(STEP, AROUND), fingerprint_parts(renamed, around)
    assert old["params"] == new["params"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=5), JSON, max_size=4),
    st.dictionaries(st.text(max_size=5), JSON, max_size=4),
)
def test_different_parameters_have_different_fingerprints(
    one: dict[str, object], two: dict[str, object]
) -> None:
    def shape(value: object) -> str:
        return (
            repr(value)
            if not isinstance(value, dict)
            else repr(sorted((k, shape(v)) for k, v in value.items()))
        )

    same = of(replace(STEP, params=one)) == of(replace(STEP, params=two))
    if shape(one) == shape(two):
        assert same
    if one != two:
        assert not same
