import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fiat.errors import SpecError
from fiat.model.card import CardSource, write_card
from fiat.model.package import write_package

sys.path.insert(0, str(Path(__file__).parent))
from package_parts import METRICS, ORIGIN, parts


@pytest.fixture
def facts(tmp_path: Path) -> dict[str, Any]:
    manifest = write_package(tmp_path / "package", parts(tmp_path), ORIGIN)
    signature = json.loads((tmp_path / "package" / "signature.json").read_text())
    return {**manifest, "signature": signature, "metrics": METRICS}


def fill(text: str, facts: dict[str, Any]) -> str:
    return write_card(CardSource("docs/CARD.md", text), facts)


def test_the_usual_card_says_what_the_model_is_how_good_and_where_from(facts: dict[str, Any]) -> None:
    card = write_card(None, facts)
    for line in (
        "# tiny",
        "A classification model, made by the spec `tiny` at commit `0123456789ab`.",
        "| input | `x` | float32 | (n, 3) |",
        "Features, in order: p, q, r.",
        "Classes, in the order of the scores: a, b, c.",
        "Measured on 200 rows of the test split, with the exported graph itself.",
        "| accuracy | 0.9 | 0.85 to 0.94 |",
        "| log_loss | undefined |  |",
        "| accuracy | kind=b | 0.7 | 40 |",
        "The graph differs from the framework's own predictions by at most 2.5e-07.",
        "- pass: accuracy >= 0.8. accuracy 0.9 reaches 0.8",
        "- parameter `seed`: 7",
    ):
        assert line in card.splitlines(), line
    assert "\n\n\n" not in card
    assert card.endswith("\n")


def test_the_usual_card_of_a_regression_outside_git_has_no_empty_places(facts: dict[str, Any]) -> None:
    bare = {
        **facts,
        "task": "regression",
        "labels": None,
        "commit": "",
        "gates": [],
        "parity": None,
        "params": {},
    }
    card = write_card(None, {**bare, "metrics": [METRICS[0]], "data": {}})
    assert "A regression model, made by the spec `tiny`." in card.splitlines()
    assert "Classes" not in card
    assert "had to pass" not in card
    assert "Slices" not in card
    assert "\n\n\n" not in card


def test_changes_that_are_in_no_commit_are_said(facts: dict[str, Any]) -> None:
    assert "with uncommitted changes." in write_card(None, {**facts, "dirty": True})


def test_a_template_may_use_all_that_is_known(facts: dict[str, Any]) -> None:
    text = (
        "{{ name }} {{ alias }} {{ commit[:7] }} {{ '%.2f' | format(metrics.accuracy) }} "
        "{{ slices['kind=b'].accuracy }} {{ params.net.width }} {{ parity.max_abs }} "
        "{{ gates | map(attribute='state') | join(',') }} {{ signature.inputs[0].name }} {{ data['data.d'][:4] }}"
    )
    assert fill(text, facts) == "tiny champion 0123456 0.90 0.7 3 2.5e-07 pass x efef\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one\ntwo {{ metrics.acuracy }}\n", r"docs/CARD\.md:2:1: .*acuracy"),
        ("{{ nothing }}", r"docs/CARD\.md:1:1: .*'nothing' is undefined .*it can use .*metrics"),
        ("one\n{% for x in metrics %}\n", r"docs/CARD\.md:\d:1: the card's template can't be filled in"),
        ("{{ metrics.accuracy + 'x' }}", "can't be filled in"),
        ("{% include '/etc/passwd' %}", "can't be filled in"),
    ],
)
def test_a_wrong_template_is_an_error_with_its_line(facts: dict[str, Any], text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        fill(text, facts)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ metrics.__class__.__init__.__globals__ }}",
        "{{ self.__init__.__globals__.__builtins__.open('/etc/passwd').read() }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(metrics) }}",
        "{{ params.update({'x': 1}) }}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ [1] * 1000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ 'x'.ljust(1000000000) }}",
        "{{ 'x' | center(1000000000) }}",
        "{{ 'x' | indent(1000000000, true) }}",
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{% set n = namespace(x='xxxxxxxx') %}{% for i in range(40) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}xxxxxxxxxx{% endfor %}{% endfor %}",
    ],
)
def test_a_hostile_template_reaches_nothing_and_makes_nothing_huge(facts: dict[str, Any], text: str) -> None:
    with pytest.raises(SpecError):
        fill(text, facts)


@pytest.mark.slow
def test_a_template_that_never_ends_is_ended(facts: dict[str, Any]) -> None:
    started = time.monotonic()
    with pytest.raises(SpecError, match="takes more than 5 s or 1 GiB"):
        fill("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", facts)
    assert time.monotonic() - started < 15


def test_a_template_that_is_too_large_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(SpecError, match="larger than 256 KiB"):
        fill("x" * (256 * 1024 + 1), facts)
