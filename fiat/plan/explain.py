"""Why a step runs: the difference between the parts of two fingerprints, in words."""

import re
from collections.abc import Mapping

_WORDS = {
    "kind": "plugin",
    "params": "params",
    "call": "call",
    "outputs": "outputs",
    "inputs": "input",
    "sources": "data",
    "code": "code",
    "env": "env",
    "secrets": "secrets",
    "python": "python",
    "packages": "packages",
    "logged": "logged metric",
}
_SHOW_VALUES = {"kind", "params", "env", "packages", "python", "logged"}
_WRAPPING = {"request", "params", "with"}
_LONGEST = 60
_DIGEST = re.compile(r"\{=[0-9a-f]{32}(\.dir)?\}")


def changes(old: Mapping[str, object], new: Mapping[str, object]) -> tuple[str, ...]:
    """Name each part that differs, one sentence a part and key.

    Args:
        old: parts of an earlier result.
        new: parts of the step as it is now.

    Returns:
        Sentences such as `code: fashion/model.py changed` or `params: lr 0.001 -> 0.01`, in the order of
        the parts; empty when nothing differs.
    """
    found: list[str] = []
    # An input's digest stands inside the command too; what changed is then told of the input alone.
    told_of_inputs = old.get("inputs") != new.get("inputs")
    for part, word in _WORDS.items():
        before, after = old.get(part), new.get(part)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            flat = _flat(before), _flat(after)
            if part == "params" and told_of_inputs:
                flat = _without_digests(flat[0]), _without_digests(flat[1])
            found.extend(_differ(word, part in _SHOW_VALUES, *flat))
        else:
            found.append(f"{word}: {_short(before)} -> {_short(after)}")
    return tuple(found)


def _differ(word: str, show: bool, before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    sentences = []
    for key in sorted({*before, *after}):
        if key not in before:
            sentences.append(f"{word}: {_shown(key)} added" + (f" ({_short(after[key])})" if show else ""))
        elif key not in after:
            sentences.append(f"{word}: {_shown(key)} removed")
        elif before[key] != after[key]:
            sentences.append(f"{word}: {_shown(key)}{_change(before[key], after[key], show)}")
    return sentences


def _change(before: object, after: object, show: bool) -> str:
    """Both values where they are short enough to be compared by eye."""
    if not show or max(len(str(before)), len(str(after))) > _LONGEST:
        return " changed"
    return f" {_short(before)} -> {_short(after)}"


def _without_digests(flat: dict[str, object]) -> dict[str, object]:
    return {key: _DIGEST.sub("{}", item) if isinstance(item, str) else item for key, item in flat.items()}


def _flat(value: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """One level of keys, dotted."""
    flat: dict[str, object] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat.update(_flat(item, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = item
    return flat


def _shown(key: str) -> str:
    """A key without our own wrapping, which the user never wrote."""
    first, _, rest = key.partition(".")
    return _shown(rest) if first in _WRAPPING and rest else key


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
