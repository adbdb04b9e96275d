"""Give models aliases, tags and notes. What was said before stays written down."""

import re
from dataclasses import dataclass

from fiat.errors import SpecError
from fiat.spec.section import NAME_PATTERN
from fiat.store.store import Store
from fiat.wiring.registry_names import Named, pick_version, require_name

_ALIAS = re.compile(NAME_PATTERN)
_TAG = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")
_MOST_CHARACTERS = 10_000


@dataclass(frozen=True)
class Marked:
    """What was written down.

    Attributes:
        model: the model's name.
        digest: of the package; empty when an alias was taken away.
        version: number of the version; 0 when an alias was taken away.
        changed: False when it was so already.
    """

    model: str
    digest: str
    version: int
    changed: bool = True


def give_alias(store: Store, name: str, alias: str, word: str, *, who: str, reason: str) -> Marked:
    """Let an alias mean a version of a model.

    Args:
        store: where it is written down.
        name: of the model, see `registry_names.py`.
        alias: such as `champion`.
        word: the version: a number, another alias, or a digest; empty for the one that the name means.
        who: who wants it.
        reason: one sentence, or empty.

    Raises:
        SpecError: there is no such model or version, or it can't be an alias.
    """
    if not _ALIAS.match(alias) or alias.isdigit():
        raise SpecError(
            f"{alias!r} can't be an alias", hint="expected a name of lower-case letters, digits, `-` and `_`"
        )
    found = require_name(store, name)
    if word:
        version = pick_version(store.registry.versions(found.model), word)
        found = Named(found.model, version.digest, version)
    changed = store.registry.move_alias(_model(found), alias, found.digest, who=who, reason=reason)
    return Marked(found.model, found.digest, _number(found), changed)


def take_alias(store: Store, name: str, alias: str, *, who: str, reason: str) -> Marked:
    """Take an alias away; who asks for it then finds nothing.

    Raises:
        SpecError: there is no such model, or it has no such alias.
    """
    found = require_name(store, name)
    if not store.registry.move_alias(_model(found), alias, "", who=who, reason=reason):
        raise SpecError(f"{found.model} has no alias {alias}", hint=f"see `fiat models {found.model}`")
    return Marked(found.model, "", 0)


def give_tags(store: Store, name: str, words: list[str], *, who: str) -> Marked:
    """Give a version named values: `name=value` each; an empty value takes the tag away.

    Raises:
        SpecError: there is no such model, or a word is no tag; then none of them is written down.
    """
    tags = [_split(word) for word in words]
    found = require_name(store, name)
    for tag, value in tags:
        store.registry.tag(_model(found), found.digest, tag, value, who=who)
    return Marked(found.model, found.digest, _number(found))


def write_note(store: Store, name: str, text: str, *, who: str) -> Marked:
    """Write something about a version.

    Raises:
        SpecError: there is no such model, or the text is empty or too long.
    """
    if not text.strip() or len(text) > _MOST_CHARACTERS:
        raise SpecError(
            "the note is empty" if not text.strip() else f"the note has {len(text)} characters",
            hint=f"write 1 to {_MOST_CHARACTERS} of them",
        )
    found = require_name(store, name)
    store.registry.note(_model(found), found.digest, text, who=who)
    return Marked(found.model, found.digest, _number(found))


def _split(word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals or not _TAG.match(name) or len(value) > _MOST_CHARACTERS:
        raise SpecError(f"{word[:100]!r} is no tag", hint="expected name=value, such as reviewed=yes")
    return name, value


def _model(found: Named) -> str:
    if found.version is None:
        raise SpecError(f"the package {found.digest} was never released", hint="`fiat models` lists models")
    return found.model


def _number(found: Named) -> int:
    return found.version.number if found.version else 0
