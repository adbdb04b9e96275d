"""What the operator grants, on its way to a step and back."""

import json

import pytest

from fiat.ports.confinement import Confinement


def test_it_arrives_at_a_step_as_it_was_said() -> None:
    said = Confinement(True, ("/srv/data",), ("data.example.org",), {"store": {"url": "s3://bucket"}})
    assert Confinement.of(json.loads(json.dumps({"commit": "a", **said.facts()}))) == said


def test_facts_that_say_nothing_are_those_of_a_desk() -> None:
    assert Confinement.of({"commit": "a"}) == Confinement(confined=False)


@pytest.mark.parametrize(
    "said", [None, "x", [], {}, {"confined": None, "data_folders": "/", "dvc_remotes": []}]
)
def test_what_can_not_be_read_grants_nothing(said: object) -> None:
    assert Confinement.of({"confinement": said}) == Confinement(confined=True)


@pytest.mark.parametrize(
    ("host", "granted"),
    [
        ("data.example.org", True),
        ("DATA.example.org.", True),
        ("a.b.cdn.example.org", True),
        ("cdn.example.org", False),
        ("evil-cdn.example.org", False),
        ("data.example.org.evil.net", False),
        ("xdata.example.org", False),
    ],
)
def test_a_host_is_granted_by_its_name_or_by_a_star_for_all_below(host: str, granted: bool) -> None:
    policy = Confinement(True, data_hosts=("data.example.org", "*.cdn.example.org"))
    assert policy.grants_host(host) is granted
    assert Confinement(True).grants_host(host)
