"""The model card: a text for people, filled in from what is known of a model."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fiat.errors import SpecError, Where

MOST_TEMPLATE_BYTES = 256 << 10
MOST_CARD_BYTES = 1 << 20
_MOST_REPEATED = 10_000

_DEFAULT = """\
# {{ name }}

A {{ task }} model, made by the spec `{{ spec }}`{% if commit %} at commit `{{ commit[:12] }}`{% if dirty %} with \
uncommitted changes{% endif %}{% endif %}.

## What it takes and gives

| | name | type | shape |
|---|---|---|---|
{% for item in signature.inputs -%}
| input | `{{ item.name }}` | {{ item.dtype }} | {{ item.shape | shape }} |
{% endfor -%}
{% for item in signature.outputs -%}
| output | `{{ item.name }}` | {{ item.dtype }} | {{ item.shape | shape }} |
{% endfor %}
{% if signature.layout != "tensor" -%}
Features, in order: {{ signature.features | join(", ") }}.
{% endif %}
{%- if labels %}
Classes, in the order of the scores: {{ labels | join(", ") }}.
{% endif %}
## How good it is

Measured on {{ "{:,}".format(n_rows) }} rows of the {{ split }} split, with the exported graph itself.

| metric | value | interval |
|---|---|---|
{% for item in all_metrics if not item.slice -%}
| {{ item.name }} | {{ item.value | number }} | {% if item.low is number %}{{ item.low | number }} to \
{{ item.high | number }}{% endif %} |
{% endfor -%}
{% for name, worst in worst_slices.items() %}
{%- if loop.first %}
Slices that differ most from the whole:

| metric | slice | value | rows |
|---|---|---|---|
{% endif -%}
| {{ name }} | {{ worst.slice }} | {{ worst.value | number }} | {{ worst.n_rows }} |
{% endfor -%}
{% if parity %}
The graph differs from the framework's own predictions by at most {{ "%.2g" | format(parity.max_abs or 0) }}.
{% endif -%}
{% if gates %}
## What it had to pass

{% for gate in gates -%}
- {{ gate.state }}: {{ gate.name }}. {{ gate.reason }}
{% endfor -%}
{% endif %}
## Where it comes from

{% for name, value in params | dictsort -%}
- parameter `{{ name }}`: {{ value }}
{% endfor -%}
{% for name, digest in data | dictsort -%}
- `{{ name }}`: {{ digest }}
{% endfor -%}
- spec digest: {{ spec_digest or "unknown" }}
- plan digest: {{ plan_digest or "unknown" }}
"""


@dataclass(frozen=True)
class CardSource:
    """A template of the user's.

    Attributes:
        name: its path as the spec says it.
        text: the template.
    """

    name: str
    text: str


def write_card(source: CardSource | None, facts: Mapping[str, Any]) -> str:
    """Fill in a card.

    Args:
        source: Jinja template; None for the default one.
        facts: the manifest, `signature`, and `metrics` as the list of the evaluation. A template sees all of them;
            there `metrics` is a mapping from name to value of all rows, `slices` from slice to such a mapping, and
            `all_metrics` is the list.

    Raises:
        SpecError: the template is no template, names what there is not, or makes too much.
    """
    name, text = (source.name, source.text) if source else ("the default card", _DEFAULT)
    if len(text.encode()) > MOST_TEMPLATE_BYTES:
        raise SpecError(
            f"the card's template is larger than {MOST_TEMPLATE_BYTES >> 10} KiB", where=Where(name)
        )
    found: list[str] = []
    size = 0
    try:
        for piece in _environment().from_string(text).generate(_names(facts)):
            size += len(piece.encode())
            if size > MOST_CARD_BYTES:
                raise SpecError(f"the card is larger than {MOST_CARD_BYTES >> 20} MiB", where=Where(name))
            found.append(piece)
    except TemplateSyntaxError as error:
        raise SpecError(
            f"the card's template is wrong: {error.message}", where=Where(name, error.lineno)
        ) from None
    except (TemplateError, SecurityError, ArithmeticError, TypeError, ValueError, LookupError) as error:
        raise SpecError(
            f"the card's template can't be filled in: {error}",
            hint="it can use " + ", ".join(sorted(_names(facts))),
            where=Where(name, _line(error)),
        ) from None
    return "".join(found).rstrip("\n") + "\n"


class _Sandbox(ImmutableSandboxedEnvironment):
    """Without operators that make a gigabyte of three characters."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        both = (left, right)
        if operator == "%" and isinstance(left, str):
            raise SecurityError("use the filter `format` with a plain format, not `%`")
        if operator == "**" or any(isinstance(item, (str, list, tuple)) for item in both):
            raise SecurityError(f"`{operator}` of these is not allowed in a card")
        return super().call_binop(context, operator, left, right)


def _environment() -> _Sandbox:
    environment = _Sandbox(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    environment.filters["number"] = _number
    environment.filters["shape"] = _shape
    return environment


def _names(facts: Mapping[str, Any]) -> dict[str, Any]:
    every = facts["metrics"]
    slices: dict[str, dict[str, Any]] = {}
    for item in every:
        if item["slice"]:
            slices.setdefault(item["slice"], {})[item["name"]] = item["value"]
    whole = {item["name"]: item["value"] for item in every if not item["slice"]}
    return {
        **facts,
        "metrics": whole,
        "slices": slices,
        "all_metrics": every,
        "worst_slices": _farthest(every, whole),
    }


def _farthest(every: list[dict[str, Any]], whole: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """For each metric the slice whose value is farthest from that of all rows."""
    found: dict[str, tuple[float, dict[str, Any]]] = {}
    for item in every:
        value, middle = item["value"], whole.get(item["name"])
        if not item["slice"] or value is None or middle is None:
            continue
        gap = abs(value - middle)
        if item["name"] not in found or gap > found[item["name"]][0]:
            found[item["name"]] = (gap, item)
    return {name: item for name, (_, item) in found.items()}


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _shape(shape: list[int | None]) -> str:
    return "(" + ", ".join("n" if size is None else str(size) for size in shape) + ")"


def _line(error: BaseException) -> int:
    """Line of the template, 0 when the error doesn't say."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"
    ]
    return (lines[-1] if lines else 0) or 0
